"""Datagrams that the mirror shows twice leave once; equal ones that are two leave twice."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from dataplane.binding import Transport
from tests.line.scene import CLIENT, SERVER, TEST


@pytest.fixture(params=[False, True], ids=["IPv4", "IPv6"])
def scene(make_scene, request):
    return make_scene(transport=Transport.UDP, ipv6=request.param)


def shows(scene, payload, number=7):
    client, server, _ = scene.addresses
    ipv6 = ":" in client[0]
    network = IPv6(src=client[0], dst=server[0]) if ipv6 else IP(src=client[0], dst=server[0], id=number)
    scene.mirror(bytes(Ether() / network / UDP(sport=client[1], dport=server[1]) / payload))


def sent(scene):
    found = []
    while data := scene.dataplane.collect(TEST, 0):
        found.append(bytes(Ether(data)[UDP].payload))
    return found


def test_datagram_mirrored_twice_leaves_once(scene):
    for payload in (b"one", b"two", b""):
        shows(scene, payload)
        shows(scene, payload)
    assert sent(scene) == [b"one", b"two", b""]
    assert scene.count("drop_mirror_duplicate") == 3
    assert scene.count("datagrams_sent") == 3


def test_twins_of_a_burst_are_found(scene):
    burst = [bytes([n]) * 9 for n in range(50)]
    for payload in burst + burst:
        shows(scene, payload)
    assert sent(scene) == burst


def test_the_same_words_later_are_said_again(scene):
    for _ in range(3):
        shows(scene, b"heartbeat")
        scene.advance(0.06)
    assert sent(scene) == [b"heartbeat"] * 3


def test_another_number_is_another_datagram(make_scene):
    scene = make_scene(transport=Transport.UDP)
    for number in range(1, 9):
        shows(scene, b"hits:1|c", number)
    assert sent(scene) == [b"hits:1|c"] * 8


def test_pairs_without_a_number_count_once_each(make_scene):
    scene = make_scene(transport=Transport.UDP)
    for _ in range(6):
        shows(scene, b"hits:1|c", number=0)
    assert len(sent(scene)) == 3


def test_a_retry_without_a_number_is_no_twin(make_scene):
    scene = make_scene(transport=Transport.UDP)
    for _ in range(3):
        shows(scene, b"query", number=0)
        scene.advance(0.005)
    assert sent(scene) == [b"query"] * 3


def test_the_same_words_from_another_client_are_said_again(make_scene):
    scene = make_scene(transport=Transport.UDP)
    shows(scene, b"hello")
    scene.addresses = (("198.18.0.11", CLIENT[1]), SERVER, scene.addresses[2])
    shows(scene, b"hello")
    assert sent(scene) == [b"hello"] * 2
