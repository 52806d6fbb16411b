"""Connections that are kept out in overload are dropped by the XDP program, and nothing else is."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, UDP

from dataplane.binding import PortRole, Transport
from dataplane.pyxdp import Verdict
from tests.line.town import RING, SERVER, SUSTAINED, TEST, Town
from tests.pyxdp import frames
from tests.pyxdp.frames import (
    CLIENT4,
    ENDPOINTS,
    FROM_SERVER,
    LINK,
    OTHERS,
    PIECES_FROM_SERVER,
    PIECES_TO_SERVER,
    PORT,
    SERVER4,
    TO_SERVER,
)

pytestmark = pytest.mark.e2e

KEPT_OUT = ("DROP", "overloaded")
TAKEN = ("REDIRECT", "redirected")
WORKERS, ALL = 64, 0xFFFFFFFF
SLOTS = 1 << 18


@pytest.fixture
def closed(steer):
    """Steer with all hashes of one worker closed but the lowest."""

    def make(endpoints=ENDPOINTS, *, closing=1, closed=ALL, known=b"\0" * SLOTS):
        steered = steer(PortRole.MIRROR, endpoints)
        told = struct.pack(f"={2 + WORKERS}I", 1, closing, closed, *[0] * (WORKERS - 1)) + known
        steered.program.maps["shed_map"].update(0, told)
        return steered

    return make


def test_either_direction_of_what_is_closed_and_not_known_is_dropped(closed):
    steered = closed()
    for name, frame in (*TO_SERVER.items(), *FROM_SERVER.items()):
        assert steered.fate(bytes(frame)) == KEPT_OUT, name


def test_what_may_be_known_passes(closed):
    steered = closed(known=b"\1" * SLOTS)
    for name, frame in (*TO_SERVER.items(), *FROM_SERVER.items()):
        assert steered.fate(bytes(frame)) == TAKEN, name


@pytest.mark.parametrize("told", [{"closing": 0}, {"closed": 0}])
def test_without_overload_everything_passes(closed, told):
    assert closed(**told).fate(bytes(TO_SERVER["ipv4"])) == TAKEN


def test_a_fragment_without_ports_passes(closed):
    steered = closed()
    for name, frame in (*PIECES_TO_SERVER.items(), *PIECES_FROM_SERVER.items()):
        assert steered.fate(bytes(frame)) == TAKEN, name


def test_what_nobody_wants_is_not_called_overload(closed):
    steered = closed()
    for name, frame in OTHERS.items():
        assert steered.fate(bytes(frame)) == ("DROP", "unwanted_dropped"), name


def test_a_datagram_is_dropped_too(closed):
    datagram = LINK / IP(src=CLIENT4, dst=SERVER4) / UDP(sport=1, dport=PORT)
    assert closed([(ip_address(SERVER4), PORT, Transport.UDP)]).fate(bytes(datagram)) == KEPT_OUT


def test_between_two_servers_nobody_is_known_to_be_the_client(closed):
    frame = LINK / frames.tcp4(sport=PORT, dport=PORT)
    assert closed([(None, PORT)]).fate(bytes(frame)) == TAKEN


@pytest.mark.parametrize("workers", [1, 2])
def test_the_line_and_the_program_agree_on_who_is_kept_out(steer, workers):
    steered = steer(PortRole.MIRROR, [(ip_address(SERVER[0]), SERVER[1])])

    def passes(frame):
        return steered.program.test_run(frame).verdict is Verdict.REDIRECT

    def dropped():
        return steered.steering.counts()["overloaded"]

    town = Town(workers=workers, shed_map=steered.steering.maps.shed, passes=passes)
    town.settle_in()
    town.goes_on(500, 0.5 * SUSTAINED)
    assert dropped() == 0
    town.goes_on(1000, 3 * SUSTAINED)
    during = dropped()
    assert during > 1000 * SUSTAINED
    town.goes_on(1000, 0.5 * SUSTAINED)
    afterwards = dropped()
    town.goes_on(500, 0.5 * SUSTAINED)
    assert dropped() == afterwards
    account = town.finish()
    assert account.sessions > 1000
    # Of what was let in, nothing was dropped.
    assert account.ends == {"complete": account.sessions}
    # What was kept out cost the line little.
    assert sum(account.drops.values()) < during / 4


def sessions_of_workers(shed_map, passes):
    """Both workers have as many clients; the link of the first alone is too slow for them."""
    town = Town(workers=2, shed_map=shed_map, passes=passes)
    town.dataplane.limit(TEST, 1, RING)
    town.goes_on(1000, 2 * SUSTAINED)
    opened = [town.dataplane.counters(worker)["sessions_opened"] for worker in range(2)]
    assert town.finish().ends == {"complete": sum(opened)}
    return opened


def test_one_overloaded_worker_keeps_nobody_out_of_another(steer):
    steered = steer(PortRole.MIRROR, [(ip_address(SERVER[0]), SERVER[1])])

    def passes(frame):
        return steered.program.test_run(frame).verdict is Verdict.REDIRECT

    few, many = sessions_of_workers(steered.steering.maps.shed, passes)
    assert few < 0.8 * many
    assert many == sessions_of_workers(0, lambda _: True)[1]
    assert steered.steering.counts()["overloaded"] > 0
