"""The client's direction alone, and its first acknowledgement lost: it is not known if the server greeted."""

from tests.line.scene import OPTIONS


def opens(make_scene):
    scene = make_scene(both=False)
    scene.client.shows("S", seq=-1, options=OPTIONS)
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")
    return scene


def test_greeting_is_waited_for(make_scene):
    scene = opens(make_scene)
    scene.server.says(b"220 hello")
    scene.client.says(b"EHLO")
    scene.advance(0.5)
    scene.expect()
    scene.target.says(b"220 hello")
    assert b"".join(segment.payload for segment in scene.sent()) == b"EHLO"
    scene.server.says(b"250 fine")
    scene.client.says(b"QUIT")
    scene.expect()
    scene.target.says(b"250 fine")
    assert b"".join(segment.payload for segment in scene.sent()) == b"QUIT"


def test_without_a_greeting_the_request_leaves_after_a_second(make_scene):
    scene = opens(make_scene)
    scene.client.says(b"GET /")
    scene.advance(1.2)
    scene.expect("PA GET /")
    assert scene.ended() == {}


def test_acknowledgement_of_the_handshake_shows_that_there_was_none(make_scene):
    scene = opens(make_scene)
    scene.client.acks()
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
