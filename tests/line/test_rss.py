"""Receive-side scaling of the test port: forged endpoints are such that answers come to their owner's queue.

The NIC is played by a second, slower implementation: bit by bit, as the hash is defined.
"""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from dataplane.binding import Range, Rss

WORKERS = 4
CLIENTS = 60
KEY = bytes((37 * n * n + 11 * n + 5) % 256 for n in range(40))
BOTH = ((3, 3), (1, 1))  # addresses and ports of TCP
TABLE = tuple((5 * slot + slot // 16) % WORKERS for slot in range(128))


def queue_of(rss, source, destination):
    address = ip_address(source[0]).packed + ip_address(destination[0]).packed
    data = address + source[1].to_bytes(2, "big") + destination[1].to_bytes(2, "big")
    key, bits = int.from_bytes(rss.key, "big"), 8 * len(rss.key)
    result = 0
    for bit in range(8 * len(data)):
        if data[bit // 8] & 0x80 >> bit % 8:
            result ^= key >> (bits - 32 - bit) & 0xFFFFFFFF
    return rss.table[result % len(rss.table)]


def replay_handshakes(scene, nic, turned=0):
    """Each client connects; the target's answer arrives where the NIC puts it, or so many queues on."""
    target = (scene.addresses[2][0], scene.addresses[2][1])
    for port in range(40000, 40000 + CLIENTS):
        scene.new_client(scene.addresses[0][0], port)
        scene.client.isn = port
        scene.queue = port % WORKERS
        scene.client.connect()
        syns = scene.sent()
        assert {str(syn) for syn in syns} == {"S"}
        for syn in syns:
            network = syn.raw.getlayer(1)
            scene.target.client = (network.src, network.payload.sport)
            scene.queue = (queue_of(nic, target, scene.target.client) + turned) % WORKERS
            scene.target.next = scene.target.seen = 0
            scene.target.iss = syn.raw["TCP"].seq
            scene.target.accept()
            scene.expect("A")


@pytest.fixture(params=[False, True], ids=["ipv4", "ipv6"])
def settings(request):
    first = "fd00:198:18::c8:1" if request.param else "198.18.200.1"
    return {"ipv6": request.param, "workers": WORKERS, "pool": (Range(ip_address(first), 4),)}


def test_answers_to_a_pool_come_to_their_owners_queue(make_scene, settings):
    rss = Rss(TABLE, KEY, 0, BOTH)
    scene = make_scene(rss=rss, **settings)
    replay_handshakes(scene, rss)
    assert scene.count("sessions_established") == CLIENTS
    assert scene.count("test_handed_off") == 0


def test_copies_come_to_their_owners_queue_and_the_first_keeps_its_port(make_scene, settings):
    rss = Rss(TABLE, KEY, 0, BOTH)
    scene = make_scene(rss=rss, **settings | {"pool": (), "multiplier": 3})
    replay_handshakes(scene, rss)
    assert scene.count("sessions_established") == 3 * CLIENTS
    assert 0 < scene.count("test_handed_off") <= CLIENTS
    assert scene.count("test_astray") == 0


def test_without_rss_answers_are_handed_off(make_scene, settings):
    scene = make_scene(**settings)
    replay_handshakes(scene, Rss(TABLE, KEY, 0, BOTH))
    assert scene.count("sessions_established") == CLIENTS
    assert scene.count("test_handed_off") > 0
    assert scene.count("test_astray") == 0


def test_a_nic_that_does_otherwise_is_seen_and_nothing_is_lost(make_scene, settings):
    rss = Rss(TABLE, KEY, 0, BOTH)
    scene = make_scene(rss=rss, **settings)
    replay_handshakes(scene, rss, turned=1)
    assert scene.count("sessions_established") == CLIENTS
    assert scene.count("test_astray") == scene.count("test_handed_off") == CLIENTS


def test_endpoints_that_come_elsewhere_are_used_when_there_are_no_others(make_scene, settings):
    rss = Rss((3,) * 128, KEY, 0, BOTH)  # everything comes to one worker
    scene = make_scene(rss=rss, **settings)
    replay_handshakes(scene, rss)
    assert scene.count("sessions_established") == CLIENTS
    assert scene.count("test_handed_off") > 0
