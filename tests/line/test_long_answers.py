"""Answers longer than the sequence space: offsets in them never wrap."""

import pytest

GIB = 1 << 30


def production_answers(scene, gibibytes):
    """As the mirror shows it: the client acknowledges a GiB more, and again."""
    for _ in range(gibibytes):
        scene.server.next += GIB
        scene.client.seen = scene.server.next
        scene.client.acks()


@pytest.mark.parametrize("gibibytes", [1, 2, 3, 4, 5, 9])
def test_request_behind_a_long_answer_waits_for_the_target(make_scene, gibibytes):
    scene = make_scene(both=False)
    scene.establish()
    scene.client.says(b"GET /image")
    scene.expect("PA GET /image")
    production_answers(scene, gibibytes)
    scene.target.says(bytes(1000))
    scene.expect("A")
    scene.client.says(b"GET /next")
    scene.advance(0.25)
    scene.expect()
    assert scene.ended() == {}


@pytest.mark.parametrize("gibibytes", [2, 5])
def test_reset_behind_a_long_answer_lets_the_target_answer(make_scene, gibibytes):
    scene = make_scene(both=False)
    scene.establish()
    scene.client.says(b"GET /image")
    scene.expect("PA GET /image")
    production_answers(scene, gibibytes)
    scene.client.resets()
    scene.target.says(bytes(1000))
    scene.expect("A")
    scene.advance(0.25)
    scene.expect()
    assert scene.ended() == {}


def test_answer_as_long_as_the_sequence_space_is_waited_for(make_scene):
    """After 4 GiB the sequence numbers are where they were, and the target has said almost nothing."""
    scene = make_scene(both=False)
    scene.establish()
    for _ in range(3):
        scene.exchange(b"GET /", b"200 OK")
    production_answers(scene, 4)
    scene.client.says(b"GET /next")
    scene.advance(0.25)
    scene.expect()
