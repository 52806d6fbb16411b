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
BATCHES, RSS_BATCHES = 10, 3
REQUESTS = 100  # of each batch
MOST_BYTES = 65536  # of a request or an answer
PARALLEL = 16
SERVED_TIMEOUT_S = 120.0
POOL = "198.18.0.128/26"
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


def serve(bed: Bed, batches: int) -> None:
    """Let the client make its requests, and the target answer the replayed ones."""
    for served, seed in enumerate(seeds()[:batches], 1):
        bed.client(REQUESTS, parallel=PARALLEL, seed=seed)
        wait_until_served(bed, served * REQUESTS)


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
    serve(bed, BATCHES)
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


@pytest.mark.parametrize("chosen", [True, False], ids=["forged_from_a_pool", "clients_own"])
def test_answers_come_to_the_queue_of_their_owner_where_endpoints_can_be_chosen(make_bed, make_guest, chosen):
    """A device with RSS: of a pool those endpoints are taken whose answers the device gives to their owner.

    With the clients' own endpoints, which leave no choice, the same device shows that there was one to make.
    """
    bed = make_bed()
    guest = make_guest(bed, QUEUES, rss=True)
    wanted = configuration(bed)
    if chosen:
        wanted["transfers"][0]["clients"] = [POOL]
    guest.start(wanted)
    serve(bed, RSS_BATCHES)
    outcome = guest.stop()

    assert outcome.status == 0, outcome.report
    assert any("chosen by the test port's RSS" in line for line in outcome.report), outcome.report
    line = outcome.ledger["counters"]
    assert line["test_astray"] == 0  # the device does as the driver says
    assert (line["test_handed_off"] == 0) == chosen, line
    assert min(outcome.counters["test0"][f"rx{queue}_xdp_redirects"] for queue in range(QUEUES)) > 0
    account = bed.accounts()
    assert account.target == account.production == RSS_BATCHES * REQUESTS
    assert account.equal, account.as_dict()
    assert_ledger_closes(outcome.ledger)
