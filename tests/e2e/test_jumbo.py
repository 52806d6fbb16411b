"""Frames that one buffer does not hold: every device has an MTU of 9000."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from appliance.lab.topology import STANDARD_MTU

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.lab.topology import Role
    from tests.e2e.bed import Bed

MTU = 9000
REQUESTS = 600
BODY = b"0123456789abcdef" * 500  # with its header one frame of this MTU, six of the usual one
WAY: tuple[tuple[Role, str], ...] = (
    *(("switch", device) for device in ("bridge0", "to-client", "to-production", "span0")),
    *(("client", "client0"), ("production", "production0"), ("target", "target0")),
    *(("appliance", "mirror0"), ("appliance", "test0")),
)


@pytest.fixture
def jumbo_bed(make_bed: Callable[..., Bed]) -> Iterator[Bed]:
    """Two queues, so that such frames are handed off, too."""
    bed = make_bed(queues=2)

    def set_mtu(mtu: int) -> None:
        for role, device in WAY:
            bed.lab.run(role, ("ip", "link", "set", device, "mtu", str(mtu)))

    try:
        set_mtu(MTU)
        yield bed
    finally:
        bed.replay.stop()
        set_mtu(STANDARD_MTU)


@pytest.mark.every_copy
def test_requests_of_one_jumbo_frame_are_replayed_unchanged(jumbo_bed: Bed) -> None:
    bed = jumbo_bed
    body = bed.directory / "body"
    body.write_bytes(BODY)
    body.chmod(0o644)
    bed.start()
    assert "XDP native" in bed.replay.output_path.read_text()
    post = ("-p", str(body), "-T", "application/octet-stream", f"http://{bed.lab.production}/store")
    done = bed.lab.run("client", ("ab", "-q", "-n", str(REQUESTS), "-c", "20", "-k", *post))
    assert "Failed requests:        0" in done.stdout
    bed.settle()
    counters = bed.finish()
    production, target = bed.shapes()
    assert sum(len(said) * n for (_, _, said), n in production.items()) == REQUESTS
    assert production == target
    assert counters["mirror_client_payload"] < 2 * REQUESTS  # they came whole
    assert counters["sent_payload"] >= 3 * REQUESTS  # and left in frames of one buffer
    assert [port["lost"] for port in bed.replay.ledger()["ports"]] == [0, 0]
