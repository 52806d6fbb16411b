"""The engine starts when production's connections have been there for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.bed import ends, nonzero

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.hard_bed import HardBed

pytest_plugins = ("tests.e2e.hard_bed",)

CONNECTIONS = 200
BEFORE, AFTER = 3, 10


def talk_and_start_in_between(bed: HardBed, **options: object) -> None:
    with bed.talking(CONNECTIONS, BEFORE + AFTER, wait_after=BEFORE, interval=0.2, **options) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == "waiting\n"
        bed.start()
        client.stdin.write("\n")
        client.stdin.flush()


def wait_until(bed: HardBed, served: int) -> None:
    """Production has so many requests behind it."""
    deadline = time.monotonic() + 10
    while sum(1 for _ in bed.production.requests()) < served:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.every_copy
def test_long_lived_connections_are_taken_up_at_their_next_turn(
    make_hard_bed: Callable[..., HardBed],
) -> None:
    bed = make_hard_bed()
    talk_and_start_in_between(bed)
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    served = {request.id for request in bed.target.requests()}
    later = {f"h-{c}-{n}" for c in range(CONNECTIONS) for n in range(BEFORE + 1, BEFORE + AFTER)}
    print(f"{len(served)} requests at the target, of {CONNECTIONS * AFTER} after the start")
    assert later <= served, nonzero(counters)
    assert account.duplicated == account.unexpected == account.out_of_order == account.bodies_different == 0
    assert counters["connections_joined"] == CONNECTIONS
    assert ends(counters) == {"complete": CONNECTIONS}, nonzero(counters)


@pytest.mark.every_copy
def test_large_posts_are_taken_up_at_their_next_turn(make_hard_bed: Callable[..., HardBed]) -> None:
    """Their start is in the middle of nothing: no rest of a body is taken for a request."""
    bed = make_hard_bed()
    with bed.talking(32, 100, interval=0.1, method="POST", size=50_000):  # long beside the start of an engine
        wait_until(bed, served=100)
        bed.start()
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    assert account.unexpected == account.duplicated == account.out_of_order == account.bodies_different == 0
    assert all(request.status == 200 for request in bed.target.requests()), nonzero(counters)
    assert account.target > 0, nonzero(counters)
    assert ends(counters) == {"complete": 32}, nonzero(counters)


@pytest.mark.every_copy
def test_no_frame_is_lost_where_the_engine_starts_under_load(make_hard_bed: Callable[..., HardBed]) -> None:
    bed = make_hard_bed()
    argv = bed.hard_argv(32, 10_000, interval=0.1, method="POST", size=50_000)
    client = bed.lab.exec("client", argv)
    try:
        wait_until(bed, served=100)
        bed.start()
        assert bed.replay.settle(lambda counters: counters["turns_sent"] >= 300, 20)
    finally:
        client.kill()
        client.wait()
    counters = bed.finish()
    mirror = next(port for port in bed.replay.ledger()["ports"] if port["role"] == "mirror")
    assert (mirror["lost"], mirror["xdp"]["no_socket"]) == (0, 0), mirror
    assert counters["connections_joined"] == 32
    assert counters["end_mirror_gap"] == 0, nonzero(counters)


def test_full_sessions_only_takes_up_nothing(make_hard_bed: Callable[..., HardBed]) -> None:
    bed = make_hard_bed(transfer={"full_sessions_only": True})
    talk_and_start_in_between(bed)
    counters = bed.finish()
    assert counters["sessions_opened"] == counters["sent_frames"] == 0
    assert bed.accounts().target == 0
