"""Zero-copy, proved: the real engine in a virtual machine whose driver has it, on every queue of two devices.

The lab's real clients talk to a real nginx; the switch mirrors both directions to the guest, which replays to
another nginx.
"""

from __future__ import annotations

import time
from itertools import count, islice
from typing import TYPE_CHECKING

import pytest

from appliance.demo.nginx import SIZES
from appliance.demo.workload import workload
from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT, Bed, assert_ledger_closes

if TYPE_CHECKING:
    from tests.zerocopy.guest import Outcome

QUEUES = 4
BATCHES = 10
REQUESTS = 100  # of each batch
MOST_BYTES = 65536  # of a request or an answer
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


def seeds() -> list[int]:
    """One for each batch, without the largest requests and answers.

    The guest is slower than the lab, so it gets the next batch when it has done with the one before, and none
    that could fill half of a ring: it would take that for overload, and refuse connections.
    """

    def is_small(seed: int) -> bool:
        said = workload(REQUESTS, seed, SIZES)
        return all(exchange.size <= MOST_BYTES for one in said for exchange in one.exchanges)

    return list(islice(filter(is_small, count(1)), BATCHES))


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
    for served, seed in enumerate(seeds(), 1):
        bed.client(REQUESTS, parallel=PARALLEL, seed=seed)
        wait_until_served(bed, served * REQUESTS)
    outcome = guest.stop()

    assert outcome.status == 0, outcome.report
    every = ", ".join(["zerocopy"] * QUEUES)
    for port in ("mirror port mirror0", "test port test0"):
        obtained = (
            f"{port}: driver virtio_net, XDP native, socket of each queue: {every}; buffers on huge pages"
        )
        assert obtained in outcome.report, outcome.report

    account = bed.accounts()
    assert account.equal, (account.as_dict(), outcome.ledger)
    assert account.target == account.production == BATCHES * REQUESTS
    assert_ledger_closes(outcome.ledger)
    assert [port["lost"] for port in outcome.ledger["ports"]] == [0, 0]
    # Now and then a client's kernel, done with a connection, answers the server's last segment with RST.
    ended = {reason for reason, count in outcome.ledger["ends"].items() if count}
    assert ended <= {"complete", "client_reset"}
    assert_traffic_on_every_queue(outcome)
