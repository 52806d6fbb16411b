"""``ack: mirrored``: the target feels the production client's acknowledgements and window."""

import pytest

from tests.line.scene import OPTIONS


@pytest.fixture
def scene(make_scene):
    scene = make_scene(ack_mirrored=True)
    scene.establish()
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
    return scene


def production_answers(scene, size):
    """The server sends; the client has not acknowledged it yet."""
    scene.server.shows("PA", bytes(size))
    scene.server.next += size


def test_answer_is_acknowledged_when_the_production_client_does(scene):
    production_answers(scene, 1000)
    scene.target.says(bytes(1000))
    scene.expect()
    scene.client.seen = 600
    scene.client.acks()
    assert scene.expect("A")[0].ack == 600
    scene.client.seen = 1000
    scene.client.acks()
    assert scene.expect("A")[0].ack == 1000


def test_acknowledgements_ahead_of_the_target_do_not_delay(scene):
    production_answers(scene, 1000)
    scene.client.seen = 1000
    scene.client.acks()
    scene.sent()  # a window update, perhaps
    scene.target.says(bytes(1000))
    assert scene.expect("A")[0].ack == 1000


def test_longer_answer_is_acknowledged_after_a_while(scene):
    production_answers(scene, 100)
    scene.client.seen = 100
    scene.client.acks()
    scene.sent()
    scene.target.says(bytes(300))
    assert scene.expect("A")[0].ack == 100
    scene.advance(0.25)
    assert scene.expect("A")[0].ack == 300


def test_closed_window_of_the_client_closes_ours(make_scene):
    scene = make_scene(ack_mirrored=True)
    scene.client.shows("S", seq=-1, options=[("MSS", 1460)], window=5000)
    assert scene.expect("S")[0].window == 5000
    scene.target.accept(options=OPTIONS[:1])
    scene.server.shows("SA", seq=-1)
    scene.client.shows("A", window=5000)
    scene.expect("A")
    scene.client.shows("PA", b"GET /", window=5000)
    scene.client.next += 5
    scene.expect("PA GET /")
    for _ in range(4):
        scene.target.says(bytes(1250))
    scene.client.shows("A", ack=5000, window=0)
    closed = scene.expect("A")[0]
    assert (closed.ack, closed.window) == (5000, 0)
    scene.advance(1)
    scene.expect()
    scene.client.shows("A", ack=5000, window=3000)
    opened = scene.expect("A")[0]
    assert (opened.ack, opened.window) == (5000, 3000)


def test_next_turn_goes_on_from_the_targets_own_offset(scene):
    production_answers(scene, 100)
    scene.client.seen = 100
    scene.target.says(bytes(300))
    scene.client.says(b"second")
    scene.expect("PA second")
    production_answers(scene, 100)
    scene.target.says(bytes(100))
    scene.expect()
    scene.client.seen = 200
    scene.client.acks()
    assert scene.expect("A")[0].ack == 400


def test_target_fin_is_acknowledged_in_the_end(scene):
    scene.target.says(b"answer")
    scene.target.closes()
    scene.advance(0.25)
    assert scene.expect("A")[0].ack == 7


def test_out_of_order_answer_is_acknowledged_at_once(scene):
    scene.target.shows("PA", bytes(100), seq=100)
    assert scene.expect("A")[0].ack == 0
