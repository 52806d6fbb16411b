"""``ack: mirrored``: the target feels how slowly production's clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.bed import ends, nonzero

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hard_bed import HardBed

pytest_plugins = ("tests.e2e.hard_bed",)

CONNECTIONS, REQUESTS = 8, 2
ANSWER = 1_000_000
RATE = 600_000
SMALL_BUFFER = 16384
MOST_RATIO = 2.5  # 1.0 on an idle machine, 1.4 beside ten busy processes


@pytest.mark.parametrize("mirrored", [True, False], ids=["mirrored", "prompt"])
@pytest.mark.every_copy
def test_slow_client_slows_the_target_alike_only_if_acknowledgements_are_mirrored(
    make_hard_bed: Callable[..., HardBed], *, mirrored: bool
) -> None:
    bed = make_hard_bed(serve=False, transfer={"ack": "mirrored" if mirrored else "prompt"})
    bed.production.stop()
    production, target = bed.serve("production"), bed.serve("target")
    bed.start()
    options = {"size": ANSWER, "receive_buffer": SMALL_BUFFER, "read_rate": RATE}
    bed.talk(CONNECTIONS, REQUESTS, **options)
    bed.settle()
    counters = bed.finish()
    assert ends(counters) == {"complete": CONNECTIONS}, nonzero(counters)
    first, second = ({each.id: each.seconds for each in side.served()} for side in (production, target))
    assert len(first) == CONNECTIONS * REQUESTS
    assert first.keys() == second.keys()
    ratios = sorted(second[name] / first[name] for name in first)
    print(f"production {min(first.values()):.2f}…{max(first.values()):.2f} s, target / production {ratios}")
    assert min(first.values()) > 0.8 * ANSWER / RATE  # production's client was slow
    if mirrored:
        assert 0.9 <= ratios[0] <= ratios[-1] <= MOST_RATIO
    else:
        assert ratios[-1] < 0.3
