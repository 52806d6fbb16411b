"""Production's own time to think is not the target's silence."""

import pytest

from dataplane.binding import SECOND, Timing


@pytest.mark.parametrize("both", [True, False], ids=["both directions", "client only"])
def test_long_poll_of_production_is_not_the_targets_silence(make_scene, both):
    scene = make_scene(both=both)
    scene.establish()
    scene.client.says(b"GET /poll")
    scene.expect("PA GET /poll")
    scene.target.acks()
    scene.advance(130)
    scene.server.says(b"news")
    scene.client.says(b"GET /again")
    scene.advance(0.02)
    scene.expect()
    scene.target.says(b"news")
    scene.expect("PA GET /again")
    assert scene.ended() == {}


@pytest.mark.parametrize("both", [True, False], ids=["both directions", "client only"])
def test_job_behind_a_half_closed_client_may_take_its_time(make_scene, both):
    scene = make_scene(both=both)
    scene.establish()
    scene.client.says(b"GET /job")
    scene.client.closes()
    scene.expect("PA GET /job", "FA")
    scene.target.acks()
    scene.advance(130)
    scene.server.says(b"done")
    scene.server.closes()
    scene.client.acks()
    scene.advance(0.02)
    assert scene.ended() == {}
    scene.target.says(b"done")
    scene.target.closes()
    scene.sent()
    assert scene.ended() == {"complete": 1}


def test_report_may_take_longer_than_the_timeout(make_scene):
    scene = make_scene(timing=Timing(response_timeout=5 * SECOND))
    scene.establish()
    scene.client.says(b"GET /report")
    scene.expect("PA GET /report")
    scene.target.acks()
    scene.advance(6)
    scene.server.says(b"report")
    scene.client.says(b"GET /next")
    scene.advance(4.9)
    assert scene.ended() == {}
    scene.advance(0.2)
    assert scene.ended() == {"target_silent": 1}


def test_target_that_never_closes_is_silent_once_production_has_closed(make_scene):
    scene = make_scene(timing=Timing(response_timeout=2 * SECOND))
    scene.establish()
    scene.client.says(b"GET /")
    scene.client.closes()
    scene.target.acks()
    scene.advance(3)
    assert scene.ended() == {}
    scene.server.closes()
    scene.advance(2.1)
    assert scene.ended() == {"target_silent": 1}
