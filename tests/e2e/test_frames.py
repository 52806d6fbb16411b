"""How many frames a replay needs: hardly more than production's clients did (``ack: delayed``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.bed import nonzero

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.bed import Bed

CONNECTIONS = 20
MOST = 1.05  # frames of ours for each one of production's clients


@pytest.mark.parametrize(("path", "requests"), [("1024", 20_000), ("65536", 2_000), ("262144", 1_000)])
def test_kept_connections_take_as_many_frames_as_in_production(
    make_bed: Callable[..., Bed], path: str, requests: int
) -> None:
    bed = make_bed(keepalive_requests=requests)
    bed.start()
    url = f"http://{bed.lab.production}/{path}"
    bed.lab.run("client", ("ab", "-q", "-k", "-n", str(requests), "-c", str(CONNECTIONS), url))
    bed.settle()
    counters = bed.finish()
    sent, shown = counters["sent_frames"], counters["mirror_client_frames"]
    print(f"/{path}: {sent / requests:.3f} frames a request; production's clients: {shown / requests:.3f}")
    assert bed.accounts().equal, nonzero(counters)
    assert sent <= MOST * shown
