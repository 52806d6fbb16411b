"""UDP transfers: datagrams with forged endpoints; answers are swallowed and counted."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from dataplane.binding import SECOND, Range, Timing, Transport
from tests.line.scene import MIRROR, TEST


@pytest.fixture(params=[False, True], ids=["IPv4", "IPv6"])
def scene(make_scene, request):
    return make_scene(transport=Transport.UDP, ipv6=request.param)


def datagram(source, destination, payload):
    layer = IPv6 if ":" in source[0] else IP
    network = layer(src=source[0], dst=destination[0])
    return bytes(
        Ether(dst="02:00:00:00:00:02") / network / UDP(sport=source[1], dport=destination[1]) / payload
    )


def shows(scene, payload, client=None):
    scene.mirror(datagram(client or scene.addresses[0], scene.addresses[1], payload))


def sent(scene):
    found = []
    while data := scene.dataplane.collect(TEST, 0):
        packet = Ether(data)
        udp = packet[UDP]
        network = packet[IPv6] if IPv6 in packet else packet[IP]
        rebuilt = network.copy()
        del rebuilt[UDP].chksum
        assert bytes(network) == bytes(rebuilt), "the checksum is wrong"
        found.append(((network.src, udp.sport), (network.dst, udp.dport), bytes(udp.payload)))
    return found


def test_datagrams_go_to_the_target_as_they_came(scene):
    for payload in (b"one", b"", b"three"):
        shows(scene, payload)
    client, _, target = scene.addresses
    assert sent(scene) == [(client, target, b"one"), (client, target, b""), (client, target, b"three")]
    assert scene.count("sessions_opened") == 1
    assert scene.count("datagrams_sent") == 3
    assert scene.count("request_bytes_acked") == 8


def test_answers_are_swallowed_and_counted(scene):
    shows(scene, b"question")
    sent(scene)
    client, _, target = scene.addresses
    scene.answer(datagram(target, client, b"answer"))
    scene.answer(datagram(target, (client[0], 9), b"to nobody"))
    assert sent(scene) == []
    assert scene.count("answer_bytes") == 6
    assert scene.count("drop_test_no_session") == 1


def test_conversation_ends_when_it_is_silent(make_scene):
    scene = make_scene(transport=Transport.UDP, timing=Timing(datagram_timeout=2 * SECOND))
    shows(scene, b"one")
    scene.advance(2.1)
    assert scene.ended() == {"idle": 1}
    assert scene.count("connections_live") == 0


def test_multiplier_and_pool(make_scene):
    pool = (Range(ip_address("198.18.200.1"), 2),)
    scene = make_scene(transport=Transport.UDP, multiplier=3, pool=pool)
    shows(scene, b"x")
    shows(scene, b"y")
    endpoints = [(source, payload) for source, _, payload in sent(scene)]
    assert len({source for source, _ in endpoints}) == 3
    assert sorted(payload for _, payload in endpoints) == [b"x"] * 3 + [b"y"] * 3


def test_full_ring_delays_datagrams(make_scene):
    scene = make_scene(transport=Transport.UDP)
    scene.dataplane.limit(TEST, 0, 0)
    shows(scene, b"one")
    shows(scene, b"two")
    assert scene.count("request_bytes_pending") == 6
    scene.dataplane.limit(TEST, 0, 16)
    scene.step()
    assert [payload for _, _, payload in sent(scene)] == [b"one", b"two"]


def test_datagram_that_does_not_fit_is_counted(make_scene):
    scene = make_scene(transport=Transport.UDP, mtu=1000)
    shows(scene, bytes(973))
    shows(scene, bytes(972))
    assert len(sent(scene)) == 1
    assert scene.count("drop_mirror_too_large") == 1


def test_tcp_transfer_takes_no_datagrams(make_scene):
    scene = make_scene()
    shows(scene, b"one")
    assert scene.count("drop_mirror_no_transfer") == 1


def test_bad_lengths_and_missing_checksums(make_scene):
    scene = make_scene(transport=Transport.UDP)
    good = datagram(scene.addresses[0], scene.addresses[1], b"payload")
    scene.dataplane.inject(MIRROR, 0, good[:38] + b"\x00\x07" + good[40:])
    scene.dataplane.inject(MIRROR, 0, good[:38] + b"\xff\xff" + good[40:])
    scene.dataplane.inject(MIRROR, 0, good[:40] + b"\x00\x00" + good[42:])
    scene.step()
    assert scene.count("drop_mirror_bad_udp_header") == 2
    assert [payload for _, _, payload in sent(scene)] == [b"payload"]
