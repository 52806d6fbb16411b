"""Zero-copy, proved: the real engine in a virtual machine whose driver has it, on every queue of two devices.

The lab's real clients talk to a real nginx; the switch mirrors both directions to the guest, which replays to
another nginx.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT, Bed, assert_ledger_closes

if TYPE_CHECKING:
    from tests.zerocopy.guest import Outcome

QUEUES = 4
REQUESTS = 1000
PARALLEL = 16
SERVED_TIMEOUT_S = 120.0
# The guest is slower than the switch: more room than frames are mirrored in all, so that none can be lost.
MIRROR_RING = 16384

pytestmark = pytest.mark.timeout(600)


def configuration(bed):
    return {
        "mirror": [{"device": "mirror0", "mode": "zerocopy", "ring_size": MIRROR_RING}],
        "test": {"device": "test0", "mode": "auto"},
        "transfers": [{"source": PRODUCTION_PORT, "target": f"{bed.lab.target}:{TARGET_PORT}"}],
        "workers": QUEUES,  # two CPUs have to do for them
    }


def wait_until_served(bed: Bed, requests: int) -> None:
    """Until the target has answered all requests and holds no connection."""
    deadline = time.monotonic() + SERVED_TIMEOUT_S
    while sum(1 for _ in bed.target.requests()) < requests or bed.target_sockets():
        if time.monotonic() > deadline:
            break  # the checks say what is missing
        time.sleep(0.2)


def assert_traffic_on_every_queue(outcome: Outcome) -> None:
    """By the driver's own counts, which must be ours too."""
    mirror, test, line = outcome.counters["mirror0"], outcome.counters["test0"], outcome.ledger["counters"]
    mirrored = [mirror[f"rx{queue}_xdp_redirects"] for queue in range(QUEUES)]
    answers = [test[f"rx{queue}_xdp_redirects"] for queue in range(QUEUES)]
    sent = [test[f"tx{queue}_xdp_tx"] for queue in range(QUEUES)]
    assert min(mirrored + answers + sent) > 0, (mirrored, answers, sent)
    assert sum(mirrored) == line["mirror_frames"] < MIRROR_RING
    assert sum(answers) == line["test_frames"]
    assert sum(sent) == line["sent_frames"]
    assert sum(mirror[f"tx{queue}_xdp_tx"] for queue in range(QUEUES)) == 0


def test_every_queue_of_a_guest_is_zero_copy_and_all_requests_are_replayed(make_bed, make_guest):
    bed = make_bed()
    guest = make_guest(bed, QUEUES)
    guest.start(configuration(bed))
    bed.client(REQUESTS, parallel=PARALLEL)
    wait_until_served(bed, REQUESTS)
    outcome = guest.stop()

    assert outcome.status == 0, outcome.report
    every = ", ".join(["zerocopy"] * QUEUES)
    for port in ("mirror port mirror0", "test port test0"):
        obtained = (
            f"{port}: driver virtio_net, XDP native, socket of each queue: {every}; buffers on huge pages"
        )
        assert obtained in outcome.report, outcome.report

    account = bed.accounts()
    assert account.equal, account.as_dict()
    assert account.target == account.production == REQUESTS
    assert_ledger_closes(outcome.ledger)
    assert [port["lost"] for port in outcome.ledger["ports"]] == [0, 0]
    # Now and then a client's kernel, done with a connection, answers the server's last segment with RST.
    ended = {reason for reason, count in outcome.ledger["ends"].items() if count}
    assert ended <= {"complete", "client_reset"}
    assert_traffic_on_every_queue(outcome)
