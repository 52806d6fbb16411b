"""Connections that never come to life hold nothing for long."""

from dataplane.binding import Limits
from tests.line.scene import OPTIONS

SMALL = Limits(64, 64, 1 << 20)


def new_client(scene, number):
    scene.new_client("198.18.0.10", 20000 + number)


def flood(scene, count):
    for number in range(count):
        new_client(scene, number)
        scene.client.shows("S", seq=-1, options=OPTIONS)


def test_handshake_that_is_never_completed_is_forgotten_after_75_seconds(scene):
    scene.client.shows("S", seq=-1, options=OPTIONS)
    scene.server.shows("SA", seq=-1, options=OPTIONS)
    scene.expect("S")
    scene.target.accept()
    scene.advance(74)
    scene.server.shows("SA", seq=-1, options=OPTIONS)
    scene.advance(2)
    assert scene.ended() == {"unfinished": 1}
    assert scene.count("connections_live") == 0


def test_a_flood_neither_fills_the_table_nor_reaches_the_target(make_scene):
    scene = make_scene(limits=SMALL)
    flood(scene, 1000)
    assert 1 <= [segment.flags for segment in scene.sent()].count("S") <= 16
    assert scene.count("connections_live") <= 16
    assert scene.count("drop_mirror_table_full") == 0
    new_client(scene, 5000)
    scene.client.connect()
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")
    scene.exchange()


def test_oldest_gives_way(make_scene):
    scene = make_scene(limits=SMALL)
    flood(scene, 17)
    assert scene.ended() == {"unfinished": 1}
    assert scene.count("connections_live") == 16


def test_single_frames_in_mid_stream_are_forgotten_after_30_seconds(make_scene):
    scene = make_scene(limits=SMALL)
    for number in range(64):
        new_client(scene, number)
        scene.client.says(b"GET /")
    assert scene.count("connections_live") == 64
    scene.advance(31)
    assert scene.count("connections_live") == 0


def test_missed_last_fin_of_a_client_alone_costs_a_minute(make_scene):
    scene = make_scene(both=False)
    scene.establish()
    scene.exchange()
    scene.target.closes()
    scene.advance(59)
    assert scene.ended() == {}
    scene.advance(3)
    assert scene.count("connections_live") == 0
    assert sum(scene.ended().values()) == 1
