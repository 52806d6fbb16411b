"""Routers towards the target that carry smaller packets: ICMP lowers a session's segment size."""

from dataclasses import replace

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from dataplane.binding import Transport
from tests.line.scene import MIRROR

ROUTER, ROUTER6 = "198.19.0.254", "fd00:198:18:19::fe"
QUOTED = 28  # bytes, as many as any router quotes


def too_big(segment, mtu, quoted=None):
    """A router's message about a segment that was sent."""
    packet = segment.raw.getlayer(IPv6) or segment.raw[IP]
    if isinstance(packet, IPv6):
        network, message = IPv6(src=ROUTER6, dst=packet.src), ICMPv6PacketTooBig(mtu=mtu)
        size = quoted or QUOTED + 20
    else:
        network, message = IP(src=ROUTER, dst=packet.src), ICMP(type=3, code=4, nexthopmtu=mtu)
        size = quoted or QUOTED
    return bytes(Ether(dst="02:00:00:00:00:0a") / network / message / Raw(bytes(packet)[:size]))


def lowered(scene):
    return scene.count("path_mtu_lowered")


def unfounded(scene):
    return scene.count("drop_test_icmp_unfounded")


@pytest.fixture(params=[False, True], ids=["IPv4", "IPv6"])
def open_scene(make_scene, request):
    scene = make_scene(ipv6=request.param)
    scene.establish()
    return scene


def test_segments_become_smaller_at_once(open_scene):
    scene = open_scene
    data = bytes(range(200)) * 14
    scene.client.says(data[:1400])
    scene.client.says(data[1400:])
    big = scene.sent()
    headers = 72 if scene.addresses[0][0].startswith("fd") else 52
    scene.answer(too_big(big[0], 1300))
    again = scene.sent()
    assert b"".join(segment.payload for segment in again) == data
    assert max(len(segment.payload) for segment in again) == 1300 - headers
    assert (lowered(scene), unfounded(scene)) == (1, 0)
    scene.target.acks(ack=2800)
    scene.client.says(bytes(1400))
    assert [len(segment.payload) for segment in scene.sent()] == [1300 - headers, 100 + headers]


def test_the_second_message_about_the_same_burst_changes_nothing(open_scene):
    scene = open_scene
    for _ in range(2):
        scene.client.says(bytes(1400))
    big = scene.sent()
    for segment in big:
        scene.answer(too_big(segment, 1300))
    assert (lowered(scene), unfounded(scene)) == (1, 1)


def test_what_is_not_under_way_is_not_believed(open_scene):
    scene = open_scene
    scene.client.says(bytes(1400))
    big = scene.sent()[0]
    tcp = big.raw["TCP"]
    for change in ({"seq": tcp.seq + 1400}, {"seq": tcp.seq - 1}, {"sport": 9}):
        forged = big.raw.copy()
        for name, value in change.items():
            setattr(forged["TCP"], name, value)
        scene.answer(too_big(replace(big, raw=forged), 1300))
    scene.target.acks(ack=1400)
    scene.answer(too_big(big, 1300))
    assert (lowered(scene), unfounded(scene)) == (0, 4)
    scene.expect()


def test_impossible_and_larger_sizes_are_refused(open_scene):
    scene = open_scene
    ipv6 = scene.addresses[0][0].startswith("fd")
    scene.client.says(bytes(1400))
    big = scene.sent()[0]
    for mtu in (1279 if ipv6 else 67, 1500, 9000):
        scene.answer(too_big(big, mtu))
    assert (lowered(scene), unfounded(scene)) == (0, 3)
    scene.expect()


def test_least_size_still_gets_all_through(make_scene):
    scene = make_scene()
    scene.establish()
    scene.client.says(bytes(range(250)))
    scene.answer(too_big(scene.sent()[0], 68))
    received = b""
    while segments := scene.sent():
        assert max(len(segment.payload) for segment in segments) == 16
        received += b"".join(segment.payload for segment in segments)
        scene.target.acks(ack=len(received))
    assert received == bytes(range(250))


def test_router_that_does_not_say_how_much(make_scene):
    """RFC 1191 5 and 7: the next size that is common."""
    scene = make_scene()
    scene.establish()
    scene.client.says(bytes(1400))
    scene.answer(too_big(scene.sent()[0], 0))
    assert [len(segment.payload) for segment in scene.sent()] == [1006 - 52, 1400 - 1006 + 52]


def test_a_lost_byte_of_the_quote_is_no_message(open_scene):
    scene = open_scene
    scene.client.says(bytes(1400))
    big = scene.sent()[0]
    short = QUOTED - 1 + (20 if scene.addresses[0][0].startswith("fd") else 0)
    scene.answer(too_big(big, 1300, quoted=short))
    broken = bytearray(too_big(big, 1300))
    broken[-1] ^= 1
    scene.answer(bytes(broken))
    assert scene.count("drop_test_other_transport") == 1
    assert scene.count("drop_test_bad_checksum") == 1
    assert lowered(scene) == 0


def test_on_the_mirror_it_concerns_production(open_scene):
    scene = open_scene
    scene.client.says(bytes(1400))
    message = too_big(scene.sent()[0], 1300)
    scene.dataplane.inject(MIRROR, 0, message)
    scene.step()
    assert scene.count("drop_mirror_other_transport") == 1
    assert lowered(scene) == 0


def test_it_finds_the_owner_among_several_workers(make_scene):
    scene = make_scene(workers=4)
    for port in range(40000, 40008):
        scene.new_client("198.18.0.10", port)
        scene.establish()
        scene.client.says(bytes(1400))
        scene.answer(too_big(scene.sent()[0], 1300))
        assert sum(len(segment.payload) for segment in scene.sent()) == 1400
        scene.target.acks(ack=1400)
    assert lowered(scene) == 8


def test_datagrams_are_not_concerned(make_scene):
    scene = make_scene(transport=Transport.UDP)
    quoted = IP(src=scene.addresses[0][0], dst=scene.addresses[2][0], proto=17) / Raw(bytes(8))
    network = IP(src=ROUTER, dst=scene.addresses[0][0])
    message = Ether() / network / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(bytes(quoted))
    scene.answer(bytes(message))
    assert scene.count("drop_test_other_transport") == 1
