"""``ack: delayed``: answers are acknowledged as production's clients acknowledge theirs."""

import pytest

from dataplane.binding import Ack

FULL = 1448


@pytest.fixture
def scene(make_scene):
    scene = make_scene(ack=Ack.DELAYED)
    scene.establish()
    return scene


def ask(scene, request=b"GET /"):
    scene.client.says(request)
    scene.expect(f"PA {request.decode()}")


def test_answer_is_acknowledged_with_the_next_request(scene):
    for _ in range(20):
        scene.client.says(b"GET /")
        scene.server.says(b"200 OK")
        seen = scene.target.next
        assert scene.expect("PA GET /")[0].ack == seen
        scene.target.says(b"200 OK")
        scene.expect()
        scene.advance(0.01)


def test_answer_without_a_next_request_is_acknowledged_within_40_ms(scene):
    ask(scene)
    scene.target.says(b"200 OK")
    scene.advance(0.03)
    scene.expect()
    scene.advance(0.01)
    assert scene.expect("A")[0].ack == 6
    scene.advance(1)
    scene.expect()


def test_a_trickle_does_not_put_it_off(scene):
    ask(scene)
    for _ in range(4):
        scene.target.says(b"x")
        scene.advance(0.01)
    assert scene.expect("A")[0].ack == 4


def test_every_second_full_segment_is_acknowledged(scene):
    ask(scene)
    for _ in range(30):  # behind the first ones, which are acknowledged one by one
        scene.target.shows("A", bytes(FULL))
        scene.target.next += FULL
    scene.sent()
    told = []
    for _ in range(10):
        scene.target.shows("A", bytes(FULL))
        scene.target.next += FULL
        told.append(len(scene.sent()))
    assert sorted(told) == [0] * 5 + [1] * 5


def test_first_full_segments_are_acknowledged_one_by_one(scene):
    """A target whose congestion window is one segment could not send a second."""
    ask(scene)
    for n in range(5):
        scene.target.shows("A", bytes(FULL))
        scene.target.next += FULL
        assert scene.expect("A")[0].ack == (n + 1) * FULL


def test_out_of_order_and_what_fills_the_hole_at_once(scene):
    ask(scene)
    scene.target.shows("PA", b"def", seq=3)
    assert scene.expect("A")[0].ack == 0
    scene.target.shows("PA", b"abc", seq=0)
    assert scene.expect("A")[0].ack == 6


def test_fin_at_once(scene):
    ask(scene)
    scene.target.says(b"200 OK")
    scene.expect()
    scene.target.closes()
    assert scene.expect("A")[0].ack == 7


def test_part_of_the_answer_at_once_when_production_said_more(scene):
    """Nagle: the target may hold the rest back until its first part is acknowledged."""
    scene.client.says(b"GET /")
    scene.server.says(b"200 OK, and more")
    scene.client.acks()
    scene.expect("PA GET /")
    scene.target.says(b"200 OK")
    assert scene.expect("A")[0].ack == 6
    scene.target.says(b", and more")
    scene.expect()


def test_target_that_waited_once_does_not_wait_again(scene):
    for waits in (True, False, False):
        ask(scene)
        scene.target.says(b"200 OK")
        scene.advance(0.04 if waits else 0)
        scene.expect("A")
        scene.target.says(b", and more")
        scene.expect()
        scene.server.says(b"200 OK, and more")


def test_a_slow_target_is_not_one_that_waits(scene):
    for _ in range(3):
        ask(scene)
        scene.target.says(b"one")
        scene.advance(0.1)
        scene.expect("A")
        scene.target.says(b"two")
        scene.expect()
        scene.server.says(b"onetwo")


def test_handshake_is_finished_at_once(make_scene):
    scene = make_scene(ack=Ack.DELAYED)
    scene.client.connect()
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")
