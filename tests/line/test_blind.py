"""Segments that production would not have believed: old ones, and random numbers (RFC 5961, RFC 9293)."""

from random import Random

import pytest

from tests.line.scene import OPTIONS

TRIES = 200
KINDS = {
    "server RST": ("server", "R", b""),
    "server RST ACK": ("server", "RA", b""),
    "server ACK": ("server", "A", b""),
    "server data": ("server", "PA", b"x" * 20),
    "client RST": ("client", "R", b""),
    "client ACK": ("client", "A", b""),
    "client FIN": ("client", "FA", b""),
    "client data": ("client", "PA", b"x" * 20),
}

WILD = [(kind, wild) for kind in KINDS for wild in ("seq", "seq ack")]
WILD += [("server ACK", "ack"), ("client ACK", "ack")]


def live(make_scene, **settings):
    scene = make_scene(**settings)
    scene.establish()
    for _ in range(3):
        scene.exchange()
        scene.client.acks()
    return scene


def goes_on(scene):
    scene.sent()
    scene.advance(8)
    for _ in range(3):
        scene.exchange(b"GET /next", b"200 next")
        scene.client.acks()
    assert scene.ended() == {}


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("kind", "wild"), WILD)
def test_random_numbers_end_nothing(make_scene, kind, wild, both):
    side, flags, payload = KINDS[kind]
    scene = live(make_scene, both=both)
    numbers = Random(kind + wild)  # noqa: S311 - the same each time
    for _ in range(TRIES):
        over = {name: numbers.randrange(1 << 32) for name in wild.split()}
        getattr(scene, side).shows(flags, payload, **over)
    goes_on(scene)


@pytest.mark.parametrize("ahead", [1, 100, 30000])
def test_resets_ahead_of_what_is_expected_do_not_count(make_scene, ahead):
    for side in ("client", "server"):
        scene = live(make_scene)
        talker = getattr(scene, side)
        talker.shows("R", seq=talker.next + ahead)
        assert scene.count("drop_mirror_unconfirmed") == 1
        goes_on(scene)


def test_resets_with_the_expected_number_count(make_scene):
    for side in ("client", "server"):
        scene = live(make_scene)
        getattr(scene, side).shows("R")
        scene.expect("RA")
        assert scene.ended() == {"client_reset": 1}


def test_acknowledgement_of_what_was_not_sent_says_nothing(make_scene):
    scene = live(make_scene)
    scene.client.shows("A", ack=scene.client.seen + 10_000_000)
    scene.server.shows("A", ack=scene.server.seen + 10_000_000)
    assert scene.count("drop_mirror_outside_window") == 2
    goes_on(scene)


@pytest.mark.parametrize("both", [True, False])
def test_old_syn_on_a_live_connection_supersedes_nothing(make_scene, both):
    scene = live(make_scene, both=both)
    scene.client.shows("S", seq=12345, options=OPTIONS)
    scene.client.acks()
    scene.expect()
    assert scene.count("drop_mirror_unconfirmed") == 1
    goes_on(scene)


def anew(scene):
    scene.client.isn += 77777
    scene.client.next = scene.client.seen = scene.server.next = scene.server.seen = 0
    scene.target.next = scene.target.seen = 0


def test_syn_counts_when_the_server_confirms_it(make_scene):
    scene = live(make_scene)
    anew(scene)
    scene.client.shows("S", seq=-1, options=OPTIONS)
    scene.expect()
    scene.server.isn += 5000
    scene.server.shows("SA", seq=-1, options=OPTIONS)
    scene.expect("RA", "S")
    scene.target.accept()
    scene.client.acks()
    scene.expect("A")
    scene.exchange()
    assert scene.ended() == {"superseded": 1}


def test_syn_counts_when_the_clients_data_confirms_it(make_scene):
    scene = live(make_scene, both=False)
    anew(scene)
    scene.client.shows("S", seq=-1, options=OPTIONS)
    scene.client.says(b"GET /")
    scene.expect("RA", "S")


def test_syn_counts_after_a_while_with_the_clients_direction_alone(make_scene):
    scene = live(make_scene, both=False)
    anew(scene)
    scene.client.shows("S", seq=-1, options=OPTIONS)
    scene.advance(0.9)
    scene.expect()
    scene.advance(0.2)
    scene.expect("RA", "S")


@pytest.mark.parametrize("both", [True, False])
def test_half_open_connection_is_discovered(make_scene, both):
    scene = live(make_scene, both=both)
    expected = scene.client.next
    scene.client.shows("S", seq=400_000_000, options=OPTIONS)  # the client has crashed and begins anew
    scene.server.shows("A")  # what does it want? RFC 9293 3.5.1
    scene.client.shows("R", seq=expected)
    scene.expect("RA")
    anew(scene)
    scene.client.isn = 1_000_000 + 400_000_001
    scene.client.connect()
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")
    scene.exchange()
    scene.advance(8)
    assert scene.ended() == {"client_reset": 1}


def test_connection_goes_on_elsewhere_when_the_mirror_has_missed_a_lot(make_scene):
    scene = live(make_scene)
    for side in (scene.client, scene.server):
        side.next += 300_000_000
        side.peer.seen = side.next
    for _ in range(5):
        scene.client.says(b"GET /")
        scene.server.says(b"200 OK")
    assert scene.ended() == {"mirror_gap": 1}
    assert scene.count("connections_joined") == 1


def test_reset_ahead_counts_when_nobody_says_a_word_for_a_minute(make_scene):
    scene = live(make_scene)
    scene.server.shows("R", seq=scene.server.next + 100)
    scene.advance(59)
    scene.expect()
    scene.advance(3)
    assert [segment.flags for segment in scene.sent()] == ["RA"]
    assert scene.ended() == {"client_reset": 1}
