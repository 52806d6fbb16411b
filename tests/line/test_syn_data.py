"""Data in the client's SYN (RFC 7413)."""

import pytest

from tests.line.scene import OPTIONS

REQUEST = b"GET /"


def opens_with_data(scene, accepted):
    scene.client.shows("S", REQUEST, seq=-1, options=OPTIONS)
    scene.expect("S")
    scene.client.next = scene.server.seen = accepted
    scene.server.shows("SA", seq=-1, options=OPTIONS)
    scene.target.accept()


@pytest.mark.parametrize("both", [True, False])
def test_data_that_the_server_took_is_sent_as_first_data(make_scene, both):
    scene = make_scene(both=both)
    opens_with_data(scene, len(REQUEST))
    scene.client.acks()
    assert b"".join(segment.payload for segment in scene.sent()) == REQUEST
    scene.target.says(b"200 OK")
    scene.server.says(b"200 OK")
    scene.client.says(b"GET /2")
    assert scene.sent()[-1].payload == b"GET /2"
    scene.target.acks()
    scene.advance(8)
    assert scene.ended() == {}


@pytest.mark.parametrize("both", [True, False])
def test_data_that_the_server_did_not_take_comes_again(make_scene, both):
    scene = make_scene(both=both)
    opens_with_data(scene, 0)
    scene.client.acks()
    scene.expect("A")
    scene.client.says(REQUEST)
    scene.expect("PA GET /")
    scene.target.acks()
    scene.advance(8)
    assert scene.ended() == {}


def test_data_of_a_syn_is_not_sent_before_the_server_took_it(scene):
    opens_with_data(scene, 0)
    scene.client.shows("S", seq=-1, options=OPTIONS)
    scene.expect("A")
    assert scene.count("request_bytes_taken") == 0


def test_connection_that_ends_before_anybody_knows_gives_the_data_back(scene):
    scene.client.shows("S", REQUEST, seq=-1, options=OPTIONS)
    scene.expect("S")
    scene.target.refuses()
    assert scene.ended() == {"target_refused": 1}
