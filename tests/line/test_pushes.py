"""Servers that speak unasked: a push that the target does not make must not stop the session."""

import pytest

from dataplane.binding import SECOND, Timing, Turns

UPGRADE = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"
MQTT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
SUBSCRIBE = b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def replay(scene, first, seconds=3.0, count=20):
    """Production pushes before each of so many messages; the target answers only the first request."""
    scene.establish()
    scene.client.says(first)
    scene.server.says(b"welcome")
    scene.sent()
    scene.target.says(b"welcome")
    said = b""
    for number in range(count):
        scene.server.says(b"push %d" % number)
        scene.client.says(b"message %d" % number)
        scene.advance(0.1)
        said += b"".join(segment.payload for segment in scene.sent())
        scene.target.acks()
    for _ in range(int(seconds * 100)):
        scene.advance(0.01)
        said += b"".join(segment.payload for segment in scene.sent())
        scene.target.acks()
    return said


def whole(count=20):
    return b"".join(b"message %d" % number for number in range(count))


@pytest.mark.parametrize("first", [UPGRADE, MQTT, SUBSCRIBE, PREFACE], ids=["ws", "mqtt", "redis", "h2"])
@pytest.mark.parametrize("both", [True, False], ids=["both directions", "client only"])
def test_target_that_does_not_push_gets_everything(make_scene, first, both):
    scene = make_scene(both=both)
    assert replay(scene, first) == whole()
    assert scene.ended() == {}
    assert scene.count("gate_by_patience") > 0


def test_nothing_is_known_of_the_protocol(make_scene):
    scene = make_scene()
    assert replay(scene, b"hello", seconds=6) == whole()
    assert scene.ended() == {}


def test_patience_is_shorter_than_a_short_timeout(make_scene):
    scene = make_scene(timing=Timing(response_timeout=SECOND))
    assert replay(scene, b"hello", seconds=6) == whole()
    assert scene.ended() == {}


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n"], ids=["http", "redis"])
def test_where_every_request_is_answered_the_next_one_waits(make_scene, first):
    scene = make_scene()
    assert replay(scene, first, seconds=10) == b"message 0"  # whose turn the welcome began
    assert scene.count("gate_by_patience") == 0


def test_setting_overrules_the_protocol(make_scene):
    scene = make_scene(turns=Turns.PATIENT)
    assert replay(scene, b"GET / HTTP/1.1\r\n\r\n", seconds=6) == whole()


def test_strict_waits_whatever_the_protocol(make_scene):
    scene = make_scene(turns=Turns.STRICT)
    assert replay(scene, MQTT, seconds=10) == b"message 0"


def test_switch_of_protocols_is_seen_in_the_answer(make_scene):
    scene = make_scene()
    scene.establish()
    scene.exchange(b"GET /ws HTTP/1.1", b"HTTP/1.1 101 Switching Protocols")
    scene.client.says(b"one")
    scene.expect("PA one")
    scene.target.acks()
    scene.server.says(b"push")
    scene.client.says(b"two")
    scene.advance(0.25)
    scene.expect()
    scene.advance(0.1)
    scene.expect("PA two")


def test_answer_that_is_known_late_is_still_waited_for(make_scene):
    scene = make_scene()
    scene.establish()
    scene.client.says(MQTT)
    scene.sent()
    scene.target.acks()
    scene.advance(1)
    scene.server.says(b"ok")
    scene.client.says(b"next")
    scene.advance(0.25)
    scene.expect()
    scene.advance(0.1)
    scene.expect("PA next")


def test_clients_close_is_delivered_too(make_scene):
    scene = make_scene()
    scene.establish()
    scene.client.says(MQTT)
    scene.server.says(b"ok")
    scene.client.closes()
    scene.server.closes()
    scene.sent()
    scene.target.acks()
    scene.advance(5.1)
    scene.expect("FA")
    assert scene.ended() == {}
