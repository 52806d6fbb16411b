"""A target that restarts: the sessions it has ended open again at a later turn."""

import pytest

from dataplane.binding import SECOND, Timing


def come_back(scene, request, answer=b"200 OK"):
    """The next turn opens a new session, and leaves with it."""
    scene.target.seen = scene.target.next = 0
    scene.client.says(request)
    scene.server.says(answer)
    assert "S" in [segment.flags for segment in scene.sent()]
    scene.target.accept()
    scene.expect(f"PA {request.decode()}")
    scene.target.says(answer)
    scene.expect("A")


def reset(scene):
    scene.target.resets()


def closes_and_resets(scene):
    scene.target.closes()
    scene.sent()
    scene.target.resets()


@pytest.mark.parametrize("ends", [reset, closes_and_resets])
@pytest.mark.parametrize("both", [True, False], ids=["both directions", "client only"])
def test_requests_flow_again_from_the_next_turn_on(make_scene, ends, both):
    scene = make_scene(both=both)
    scene.establish()
    scene.exchange(b"GET /1")
    ends(scene)
    scene.advance(1.1)
    come_back(scene, b"GET /2")
    scene.exchange(b"GET /3")
    assert scene.count("sessions_reopened") == 1
    assert scene.count("connections_waiting") == 0
    assert sum(scene.ended().values()) == 1


def test_refused_target_is_tried_again(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.refuses()
    assert scene.count("connections_waiting") == 1
    scene.advance(1.1)
    come_back(scene, b"GET /")
    assert scene.ended() == {"target_refused": 1}


def test_one_try_a_second(open_scene):
    scene = open_scene
    scene.exchange(b"GET /")
    scene.target.resets()
    tries = 0
    for _ in range(50):
        scene.advance(0.1)
        scene.client.says(b"GET /")
        scene.server.says(b"200 OK")
        if any(segment.flags == "S" for segment in scene.sent()):
            tries += 1
            scene.target.seen = scene.target.next = 0
            scene.target.refuses()
    assert 4 <= tries <= 5
    assert scene.count("sessions_reopened") == tries
    skipped, abandoned = scene.count("request_bytes_skipped"), scene.count("request_bytes_abandoned")
    assert skipped + abandoned == 50 * 5


def test_rest_of_a_torn_turn_does_not_reopen(open_scene):
    scene = open_scene
    scene.client.says(b"first half,")
    scene.expect("PA first half,")
    scene.target.resets()
    scene.advance(1.1)
    scene.client.says(b"second half")
    scene.expect()
    assert scene.count("request_bytes_skipped") == 11
    scene.server.says(b"200 OK")
    come_back(scene, b"GET /")


def test_closed_behind_its_answer_is_reopened_without_a_pause(open_scene):
    scene = open_scene
    scene.exchange(b"GET /1")
    scene.target.closes()
    scene.expect("A")
    scene.client.says(b"GET /2")
    scene.server.says(b"200 OK")
    assert [segment.flags for segment in scene.sent()] == ["RA", "S"]
    scene.target.seen = scene.target.next = 0
    scene.target.accept()
    scene.expect("PA GET /2")
    assert scene.ended() == {"target_closed": 1}
    assert scene.count("request_bytes_abandoned") == scene.count("request_bytes_skipped") == 0


def test_silent_target_is_asked_again(make_scene):
    scene = make_scene(timing=Timing(response_timeout=2 * SECOND))
    scene.establish()
    scene.client.says(b"GET /1")
    scene.server.says(b"200 OK")
    scene.client.says(b"GET /2")
    scene.target.acks()
    scene.advance(2.1)
    assert scene.ended() == {"target_silent": 1}
    scene.server.says(b"200 OK")
    scene.sent()
    come_back(scene, b"GET /3")


def test_not_if_not_wanted(make_scene):
    scene = make_scene(reopen=False)
    scene.establish()
    scene.exchange(b"GET /1")
    scene.target.resets()
    scene.advance(2)
    scene.client.says(b"GET /2")
    scene.expect()
    assert scene.count("connections_waiting") == 0
    assert scene.count("drop_mirror_connection_ended") > 0


def test_production_that_closes_does_not_wait_any_more(open_scene):
    scene = open_scene
    scene.exchange(b"GET /1")
    scene.target.resets()
    assert scene.count("connections_waiting") == 1
    scene.client.closes()
    scene.expect()
    assert scene.count("connections_waiting") == 0
    scene.advance(10)
    assert scene.count("connections_live") == 0


def test_idle_connection_is_forgotten(make_scene):
    scene = make_scene(timing=Timing(idle_timeout=10 * SECOND))
    scene.establish()
    scene.exchange(b"GET /1")
    scene.target.resets()
    scene.advance(11)
    assert scene.count("connections_live") == scene.count("connections_waiting") == 0


def test_stopping_engine_opens_nothing(open_scene):
    scene = open_scene
    scene.exchange(b"GET /1")
    scene.target.resets()
    scene.advance(2)
    scene.dataplane.drain()
    scene.client.says(b"GET /2")
    assert "S" not in [segment.flags for segment in scene.sent()]
