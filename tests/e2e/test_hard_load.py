"""Loads that break replay tools: large bodies, distant clients, frozen targets, ports used again."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.bed import ends, nonzero
from tests.e2e.hard_bed import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hard_bed import HardBed

pytest_plugins = ("tests.e2e.hard_bed",)

ROUND_TRIP_S = 0.05


def finish_complete(bed: HardBed, requests: int, connections: int) -> None:
    """Everything arrived, unchanged and in order; every session is complete."""
    bed.settle(60)
    counters = bed.finish()
    account = bed.accounts()
    assert account.equal, (account, nonzero(counters))
    assert account.production == requests
    assert ends(counters) == {"complete": connections}, nonzero(counters)


def test_large_posts_on_kept_connections_arrive_whole(hard_bed: HardBed) -> None:
    bed = hard_bed
    bed.start()
    connections, requests = 64, 25  # 400 a second, 40 MB a second
    bed.talk(connections, requests, method="POST", size=100_000, interval=connections / 400)
    finish_complete(bed, connections * requests, connections)


def test_replay_keeps_the_pace_of_distant_clients(make_hard_bed: Callable[..., HardBed]) -> None:
    bed = make_hard_bed(serve=False)
    bed.production.stop()
    production, target = bed.serve("production"), bed.serve("target")
    bed.delay_clients(ROUND_TRIP_S / 2)
    bed.start()
    connections, requests = 32, 80
    bed.talk(connections, requests)
    bed.settle(60)
    counters = bed.finish()
    first, second = production.served(), target.served()
    assert len(first) == len(second) == connections * requests, nonzero(counters)
    start = min(each.arrived for each in first)
    ended = max(each.arrived for each in first)
    took = ended - start
    assert took / 1e9 > 0.95 * ROUND_TRIP_S * requests
    pace = took / (max(each.arrived for each in second) - start)
    in_time = sum(each.arrived <= ended for each in second) / len(first)
    print(f"pace {pace:.4f} of production's, {in_time:.4f} had arrived when production's last had")
    assert pace >= 0.95
    assert in_time >= 0.95


@pytest.mark.parametrize("seconds", [0.5, 5.0])
def test_frozen_target_gets_everything_afterwards(hard_bed: HardBed, seconds: float) -> None:
    bed = hard_bed
    bed.start()
    connections, requests = 64, 70
    with bed.talking(connections, requests, interval=0.1):
        assert bed.replay.settle(lambda now: now["turns_sent"] > 5 * connections, 20)
        with frozen(bed.target.workers()):
            time.sleep(seconds)
    finish_complete(bed, connections * requests, connections)


def test_frozen_target_gets_large_bodies_afterwards(hard_bed: HardBed) -> None:
    bed = hard_bed
    bed.start()
    connections, requests = 16, 20
    with bed.talking(connections, requests, interval=0.2, method="POST", size=100_000):
        assert bed.replay.settle(lambda now: now["turns_sent"] > 3 * connections, 20)
        with frozen(bed.target.workers()):
            time.sleep(3)
    finish_complete(bed, connections * requests, connections)


def test_same_ports_again_within_a_minute(hard_bed: HardBed) -> None:
    """The servers close first: each endpoint is in their TIME_WAIT when it is used again."""
    bed = hard_bed
    bed.start()
    ports = ",".join(str(20000 + number) for number in range(500))
    connections = 500 * len(bed.lab.clients)
    start = time.monotonic()
    for turn in range(3):
        bed.talk(connections, 1, source_ports=ports, server_closes=True, prefix=f"turn{turn}")
        bed.settle(30)
    waiting = bed.lab.run("target", ("ss", "-Htan", "state", "time-wait")).stdout.splitlines()
    assert time.monotonic() - start < 60
    assert len(waiting) > 0.9 * connections  # where both sides closed at once the target does not wait
    finish_complete(bed, 3 * connections, 3 * connections)


def test_ports_that_collide_under_shifts_are_all_multiplied(make_hard_bed: Callable[..., HardBed]) -> None:
    """Ports 64 apart, 32 apart and at random, of several clients: three copies of each connection."""
    bed = make_hard_bed(transfer={"multiplier": 3})
    bed.start()
    chosen = random.Random(3)  # noqa: S311 - repeatable
    ports = {1100 + 64 * number for number in range(40)} | {65535 - 32 * number for number in range(40)}
    ports |= set(chosen.sample(range(1024, 65536), 120))
    connections, requests = len(ports) * len(bed.lab.clients), 3
    bed.talk(connections, requests, source_ports=",".join(map(str, sorted(ports))), interval=0.5)
    bed.settle(30)
    counters = bed.finish()
    bed.production.stop()
    bed.target.stop()
    asked = Counter(request.id for request in bed.production.requests())
    served = Counter(request.id for request in bed.target.requests())
    assert len(asked) == asked.total() == connections * requests
    assert served == dict.fromkeys(asked, 3), nonzero(counters)
    assert ends(counters) == {"complete": 3 * connections}, nonzero(counters)
    assert counters["sessions_refused"] == 0


def test_pools_and_tables_are_in_memory_before_the_first_frame(make_hard_bed: Callable[..., HardBed]) -> None:
    """So that the line never waits for the kernel to make a page."""
    bed = make_hard_bed()
    bed.start(limits={"buffer_bytes": 32 << 20, "connections": 1 << 16, "sessions": 1 << 16})
    before = resident(bed)
    bed.finish()
    bed = make_hard_bed()
    bed.start(limits={"buffer_bytes": 64 << 20, "connections": 1 << 17, "sessions": 1 << 17})
    assert resident(bed) - before > (32 << 20) + (1 << 16) * (192 + 320)
    bed.finish()


def resident(bed: HardBed) -> int:
    """Bytes of the engine's own memory that are not only reserved."""
    assert bed.replay.process
    status = Path(f"/proc/{bed.replay.process.pid}/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) << 10


def test_overload_is_kept_out_before_the_ring(make_hard_bed: Callable[..., HardBed]) -> None:
    """A cap on what is sent makes it overload for certain. Who is let in is served to the end."""
    bed = make_hard_bed()
    bed.start(limits={"packets_per_second": 300})
    for turn in range(3):
        bed.talk(150, 4, prefix=f"turn{turn}")  # 1800 frames and more to send
    bed.settle(60)
    counters = bed.finish()
    ports = {port["device"]: port["xdp"] for port in bed.replay.ledger()["ports"]}
    assert ports[bed.lab.mirror_device]["overloaded"] > 0, nonzero(counters)
    assert counters["loops_pressed"] > 0
    assert ends(counters).keys() == {"complete"}, nonzero(counters)
