"""Two mirrored directions that do not keep step, and what production's own network loses."""

from dataplane.binding import SECOND, Timing
from tests.line.scene import MILLISECOND

SIZE = 1000


def test_acknowledgements_may_run_ahead_of_the_bytes_all_the_time(open_scene):
    scene = open_scene
    for number in range(200):
        scene.server.shows("A", ack=(number + 2) * SIZE)  # of the segment behind this one
        scene.client.says(bytes(SIZE))
        scene.sent()
        scene.target.acks()
        scene.advance(0.03)
    assert scene.ended() == {}


def test_acknowledgements_300_microseconds_early_end_no_upload(open_scene):
    scene = open_scene
    shown = [(number * SIZE, number * 70_000) for number in range(1, 60)]
    events = [(at, "ack", end) for end, at in shown] + [(at + 300_000, "says", end) for end, at in shown]
    begun = scene.now
    for _ in range(30):  # the same burst again and again: two seconds in all
        for at, what, end in sorted(events):
            scene.now = begun + at
            if what == "ack":
                scene.server.shows("A", ack=scene.client.next - scene.client.next % (59 * SIZE) + end)
            else:
                scene.client.says(bytes(SIZE))
            scene.sent()
            scene.target.acks()
        begun = scene.now + 70 * MILLISECOND
    assert scene.ended() == {}


def test_productions_own_loss_is_not_a_hole_in_the_mirror(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"two", seq=3)
    for _ in range(3):
        scene.server.acks()
        scene.advance(0.001)
    scene.advance(1.3)
    scene.expect()
    scene.client.shows("PA", b"one", seq=0)
    assert b"".join(segment.payload for segment in scene.sent()) == b"onetwo"
    scene.server.shows("A", ack=6)
    scene.target.acks()
    scene.advance(2)
    assert scene.ended() == {}


def test_loss_that_nobody_repairs_ends_after_several_retransmission_timeouts(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"two", seq=3)
    scene.advance(6.9)
    assert scene.ended() == {}
    scene.advance(0.2)
    assert scene.ended() == {"mirror_gap": 1}


def test_what_the_server_has_and_the_mirror_has_not_ends_after_gap_timeout(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"two", seq=3)
    scene.advance(3)
    scene.server.shows("A", ack=6)
    scene.advance(0.9)
    assert scene.ended() == {}
    scene.advance(0.2)
    assert scene.ended() == {"mirror_gap": 1}


def test_a_gap_timeout_longer_than_retransmissions_counts(make_scene):
    scene = make_scene(timing=Timing(gap_timeout=20 * SECOND))
    scene.establish()
    scene.client.shows("PA", b"two", seq=3)
    scene.advance(19)
    assert scene.ended() == {}
    scene.advance(2)
    assert scene.ended() == {"mirror_gap": 1}
