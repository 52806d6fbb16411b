"""Frames that are lost: on the way to the target and back, and on the way from the switch's mirror."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.bed import ends, nonzero

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hard_bed import HardBed

pytest_plugins = ("tests.e2e.hard_bed",)

ABORTED = 400  # as nginx logs a request whose client is gone before it was complete
WHOLE = {200, 499}  # 499: the client was gone before the answer
PATIENCE_S = 8.0
PERCENT = 1  # of the copies


@pytest.mark.parametrize("percent", [1, 5])
def test_lossy_path_loses_no_request(hard_bed: HardBed, percent: int) -> None:
    bed = hard_bed
    bed.lose("target", "target0", "ingress", percent)
    bed.lose("target", "target0", "egress", percent)
    bed.start()
    connections, requests = 64, 60
    bed.talk(connections, requests, interval=0.1)
    bed.talk(16, 20, interval=0.2, method="POST", size=20_000, prefix="post")
    bed.settle(90)
    lost = bed.lost("target")
    counters = bed.finish()
    account = bed.accounts()
    print(f"{percent} %: {lost} frames lost, {counters['retransmits']} sent again")
    assert lost > 0.5 * percent / 100 * (counters["sent_frames"] + counters["test_frames"])
    assert account.equal, (account, nonzero(counters))
    assert account.production == connections * requests + 320
    # The last acknowledgements of a connection that is over may be lost for good.
    assert set(ends(counters)) <= {"complete", "target_unresponsive"}, nonzero(counters)
    assert ends(counters)["complete"] >= 0.95 * counters["sessions_opened"]


@pytest.mark.parametrize("full_sessions_only", [False, True], ids=["taken_up_again", "full_sessions_only"])
def test_lossy_mirror_replays_no_hole(
    make_hard_bed: Callable[..., HardBed], *, full_sessions_only: bool
) -> None:
    bed = make_hard_bed(transfer={"full_sessions_only": full_sessions_only})
    bed.lose_copies(PERCENT)
    bed.start()
    connections, requests = 64, 40
    bed.talk(connections, requests, interval=0.1, method="POST", size=8000)
    bed.replay.come_to_rest(PATIENCE_S)
    lost = bed.lost("switch")
    counters = bed.finish()
    bed.production.stop()
    bed.target.stop()
    asked = {request.id: request for request in bed.production.requests()}
    served = list(bed.target.requests())
    whole = [request for request in served if request.status != ABORTED]
    print(f"{lost} copies lost, {ends(counters)}, {len(whole)} of {len(asked)} requests at the target")
    assert len(asked) == connections * requests
    assert [request for request in served if request.id not in asked] == []
    assert {request.status for request in whole} <= WHOLE
    assert [r for r in whole if r.body_digest() != asked[r.id].body_digest()] == []
    assert max(Counter(request.id for request in whole).values()) == 1
    # Where bytes are missing the session is reset: the target may have had a part of a request, and says so.
    assert len(served) - len(whole) <= counters["end_mirror_gap"], nonzero(counters)
    assert_ends_fit_the_loss(counters, connections, lost, once=full_sessions_only)


def assert_ends_fit_the_loss(counters: dict[str, Any], connections: int, lost: int, *, once: bool) -> None:
    """What is not complete ended at a gap, as often as the loss explains; ``once`` for each connection."""
    reasons = ends(counters)
    assert set(reasons) <= {"complete", "mirror_gap"}, nonzero(counters)
    survival = (1 - PERCENT / 100) ** (counters["mirror_client_payload"] / connections)
    expected, deviation = connections * (1 - survival), math.sqrt(connections * survival * (1 - survival))
    assert reasons["mirror_gap"] > expected - 4 * deviation, (expected, reasons)
    assert reasons["mirror_gap"] <= min(lost, expected + 4 * deviation if once else lost), (expected, reasons)
