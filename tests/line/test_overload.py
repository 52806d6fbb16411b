"""Overload, with a virtual clock: less is let in, what has been let in is served, and it passes at once."""

from __future__ import annotations

import pytest

from tests.line.town import EVERY, RING, SUSTAINED, TEST, Town


@pytest.fixture
def town() -> Town:
    town = Town()
    town.settle_in()
    return town


# What a connection that was not let in goes on to say, also when it would be let in now, and the last words
# of one that has ended.
EXPECTED = {"overloaded", "no_connection", "joining", "connection_ended"}


def test_what_can_be_served_is_let_in(town: Town) -> None:
    town.goes_on(1000, 0.9 * SUSTAINED)
    account = town.finish()
    assert account.drops.keys() <= EXPECTED - {"overloaded"}
    assert account.ends == {"complete": town.clients}


@pytest.mark.parametrize("factor", [1.2, 2, 3, 5])
def test_overload_keeps_new_connections_out_and_serves_the_others(town: Town, factor: float) -> None:
    best = sum(town.goes_on(500, SUSTAINED)[-EVERY * 10 :]) / (EVERY * 10)
    during = town.goes_on(2000, factor * SUSTAINED)
    for first in range(0, len(during), 250):
        assert sum(during[first : first + 250]) / 250 >= 0.9 * best
    assert town.dataplane.counters()["buffers_used"] < RING
    account = town.finish()
    assert account.drops["overloaded"] > (factor - 1.5) * 2000 * SUSTAINED
    assert account.drops.keys() <= EXPECTED
    # Nothing was lost at random: all that was let in, before and during the overload, was served to its end.
    assert account.ends == {"complete": account.sessions}
    assert account.sessions + account.drops["overloaded"] >= town.clients


def test_a_second_after_the_overload_everybody_is_let_in(town: Town) -> None:
    town.goes_on(1000, 3 * SUSTAINED)
    town.goes_on(1000, 0.5 * SUSTAINED)
    refused = town.dataplane.counters()["drop_mirror_overloaded"]
    town.goes_on(500, 0.9 * SUSTAINED)
    assert town.dataplane.counters()["drop_mirror_overloaded"] == refused > 0
    assert town.finish().ends.keys() == {"complete"}


def test_a_ring_that_fills_up_is_emptied_before_anything_is_sent(town: Town) -> None:
    town.goes_on(100, 0)
    for _ in range(RING - 100):
        town.comes(requests=0)
    town.goes_on(1, 0)
    counters = town.dataplane.counters()
    assert counters["loops_pressed"] == 1
    assert counters["mirror_frames"] >= RING - 100, "one burst would be 64"
    account = town.finish()
    assert account.drops.keys() <= EXPECTED


def test_a_burst_is_no_overload(town: Town) -> None:
    for _ in range(20):
        town.goes_on(50, 0)
        for _ in range(4):
            town.comes()
    town.goes_on(50, 0)
    assert town.dataplane.counters()["loops_pressed"] == 0
    assert town.finish().ends == {"complete": town.clients}


def test_a_worker_that_was_kept_waiting_once_lets_everybody_in(town: Town) -> None:
    town.dataplane.limit(TEST, 0, RING)
    for _ in range(RING - 100):  # as many frames as the ring holds, and so in one turn
        town.comes()
    town.goes_on(30, 1)
    counters = town.dataplane.counters()
    assert counters["loops_pressed"] > 0
    assert counters["drop_mirror_overloaded"] == 0
    assert town.finish().ends == {"complete": town.clients}
