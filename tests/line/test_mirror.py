"""What the mirror does to segments: duplicates, order, overlap, holes."""

from dataplane.binding import SECOND, Limits, Timing


def test_everything_mirrored_twice_is_replayed_once(scene):
    for _ in range(2):
        scene.client.shows("S", seq=-1)
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")
    for _ in range(2):
        scene.client.shows("PA", b"GET /", seq=0)
    scene.expect("PA GET /")
    scene.target.says(b"200")
    scene.expect("A")
    for _ in range(2):
        scene.client.shows("FA", seq=5, ack=3)
    scene.expect("FA")
    assert scene.count("drop_mirror_duplicate") == 3


def test_reordered_segments_are_put_in_order(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"ghi", seq=6)
    scene.client.shows("PA", b"def", seq=3)
    scene.expect()
    scene.client.shows("PA", b"abc", seq=0)
    assert b"".join(segment.payload for segment in scene.sent()) == b"abcdefghi"


def test_overlapping_retransmission_adds_only_what_is_new(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"abcd", seq=0)
    scene.client.shows("PA", b"cdefgh", seq=2)
    scene.expect("PA abcd", "PA efgh")


def test_overlaps_while_waiting_are_kept_once(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"cd", seq=2)
    scene.client.shows("PA", b"gh", seq=6)
    scene.client.shows("PA", b"bcdefghi", seq=1)
    scene.client.shows("PA", b"d", seq=3)
    scene.client.shows("PA", b"a", seq=0)
    assert b"".join(segment.payload for segment in scene.sent()) == b"abcdefghi"
    assert scene.count("request_bytes_taken") == 9
    assert scene.count("drop_mirror_duplicate") == 1


def test_hole_is_never_sent_and_ends_the_session(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.expect("PA one")
    scene.target.acks()
    scene.client.says_unmirrored(b"lost")
    scene.client.says(b"three")
    scene.advance(0.9)
    scene.expect()
    scene.advance(0.2)
    scene.expect("RA")
    assert scene.ended() == {"mirror_gap": 1}


def test_late_segment_fills_the_hole_in_time(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"world", seq=5)
    scene.advance(0.8)
    scene.client.shows("PA", b"hello", seq=0)
    scene.expect("PA helloworld")
    scene.advance(2)
    assert scene.ended() == {}


def test_missing_bytes_before_the_fin_end_the_session(open_scene):
    scene = open_scene
    scene.client.says_unmirrored(b"lost")
    scene.client.closes()
    scene.advance(1.1)
    scene.expect("RA")
    assert scene.ended() == {"mirror_gap": 1}


def test_segments_far_outside_are_dropped(open_scene):
    scene = open_scene
    scene.client.shows("PA", b"?", seq=1 << 31)
    scene.expect()
    assert scene.count("drop_mirror_outside_window") == 1


def test_client_keepalive_probe_is_not_sent(open_scene):
    scene = open_scene
    scene.exchange()
    scene.client.shows("A", b"\0", seq=scene.client.next - 1)
    scene.expect()
    assert scene.count("drop_mirror_duplicate") == 1


def test_backlog_beyond_the_limit_ends_the_session(make_scene):
    scene = make_scene(limits=Limits(64, 64, 1 << 20, backlog_bytes=10_000))
    scene.client.connect()
    scene.expect("S")
    for _ in range(11):
        scene.client.says(bytes(1000))
    assert scene.ended() == {"backlog_exceeded": 1}
    scene.client.says(b"more")
    assert scene.count("drop_mirror_connection_ended") == 1


def test_exhausted_buffers_end_the_session(make_scene):
    scene = make_scene(limits=Limits(64, 64, buffer_bytes=4 * 2048))
    scene.client.connect()
    for _ in range(9):
        scene.client.says(bytes(1000))
    assert scene.ended() == {"buffers_full": 1}
    assert scene.count("drop_mirror_buffers_full") == 1


def test_full_table_refuses_new_connections_and_keeps_the_old(make_scene):
    scene = make_scene(limits=Limits(1, 1, 1 << 20))
    scene.establish()
    scene.client.own, old = ("198.18.0.11", 40000), scene.client.own
    scene.client.shows("S", seq=-1)
    assert scene.count("drop_mirror_table_full") == 1
    scene.client.own = old
    scene.exchange()


def test_silent_connection_is_forgotten(make_scene):
    scene = make_scene(timing=Timing(idle_timeout=10 * SECOND))
    scene.establish()
    scene.advance(11)
    scene.expect("RA")
    assert scene.ended() == {"idle": 1}
    assert scene.count("connections_live") == 0


def test_ended_connection_lingers_for_late_duplicates(open_scene):
    scene = open_scene
    scene.client.resets()
    scene.expect("RA")
    scene.client.shows("PA", b"late", seq=0)
    assert scene.count("drop_mirror_connection_ended") == 1
    scene.advance(5.1)
    assert scene.count("connections_live") == 0


def test_missed_fin_of_the_client_is_told_by_the_servers(open_scene):
    scene = open_scene
    scene.exchange()
    scene.client.next += 1  # the FIN, which the mirror has missed
    scene.server.seen = scene.client.next
    scene.server.closes()
    scene.expect()
    scene.advance(1.1)
    scene.expect("FA")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}


def test_bytes_that_only_the_server_has_seen_are_a_hole(open_scene):
    scene = open_scene
    scene.exchange()
    scene.client.says_unmirrored(b"GET /lost")
    scene.server.says(b"answer")
    scene.advance(1.1)
    scene.expect("RA")
    assert scene.ended() == {"mirror_gap": 1}
    scene.client.says(b"GET /next")
    scene.expect("S")


def test_servers_acknowledgement_may_come_before_the_bytes(open_scene):
    scene = open_scene
    scene.server.shows("A", ack=5)
    scene.advance(0.5)
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
    scene.target.acks()
    scene.advance(3)
    assert scene.ended() == {}


def test_reset_that_overtakes_bytes_waits_for_them(open_scene):
    scene = open_scene
    scene.client.shows("RA", seq=4)
    scene.advance(0.5)
    scene.expect()
    scene.client.shows("PA", b"last", seq=0)
    scene.expect("PA last")
    scene.target.acks()
    scene.expect("RA")
    assert scene.ended() == {"client_reset": 1}


def test_reset_behind_missing_bytes_is_a_hole(make_scene):
    scene = make_scene(both=False)
    scene.establish()
    scene.exchange()
    scene.client.says_unmirrored(b"lost")
    scene.server.says(b"answer")
    scene.client.resets()
    scene.expect()
    scene.advance(1.1)
    scene.expect("RA")
    assert scene.ended() == {"mirror_gap": 1}


def test_reset_of_the_server_that_overtakes_bytes_waits_for_them(open_scene):
    scene = open_scene
    scene.server.shows("RA", ack=4)
    scene.expect()
    scene.client.shows("PA", b"last", seq=0)
    scene.expect("PA last")
    scene.target.acks()
    scene.expect("RA")
    assert scene.ended() == {"client_reset": 1}


def test_acknowledgement_of_the_client_shows_that_bytes_are_missing(make_scene):
    scene = make_scene(both=False)
    scene.establish()
    scene.client.says_unmirrored(b"lost")
    scene.server.says(b"answer")
    scene.client.acks()
    scene.advance(1.1)
    scene.expect("RA")
    assert scene.ended() == {"mirror_gap": 1}


def test_a_missing_byte_and_a_missing_fin_are_not_taken_for_a_fin(open_scene):
    scene = open_scene
    scene.exchange()
    scene.server.closes()
    scene.client.next += 1  # a byte, which the mirror has missed
    scene.server.shows("A", ack=scene.client.next)
    scene.client.shows("A", seq=scene.client.next + 1)  # and the FIN
    scene.advance(1.1)
    scene.expect("RA")
    assert scene.ended() == {"mirror_gap": 1}


def test_last_request_that_comes_with_the_fin_is_joined(scene):
    scene.client.says(b"GET /1")
    scene.server.says(b"answer")
    scene.expect()
    scene.client.shows("FPA", b"GET /2")
    scene.expect("S")
    scene.target.accept()
    scene.expect("FPA GET /2")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}


def test_connection_is_not_joined_in_the_midst_of_a_request(scene):
    scene.client.says(bytes(1448), "A")
    scene.client.says(bytes(1448))
    scene.server.says(b"100 go on")
    scene.client.says(b"rest")
    scene.expect()
    scene.server.says(b"answer")
    scene.client.says(b"GET /2")
    scene.expect("S")
