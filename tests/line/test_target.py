"""What the target does: windows, loss, small segments, refusal, close and reset."""

from dataplane.binding import SECOND, Limits, Timing
from tests.line.scene import OPTIONS


def test_syn_is_retransmitted(scene):
    scene.client.connect()
    scene.expect("S")
    scene.advance(1.1)
    scene.expect("S")
    scene.advance(2.1)
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")


def test_unresponsive_target_ends_the_session(make_scene):
    scene = make_scene(timing=Timing(syn_tries=3))
    scene.client.connect()
    scene.advance(8)
    scene.expect("S", "S", "S", "R")
    assert scene.ended() == {"target_unresponsive": 1}


def test_refused_connection_ends_the_session(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.refuses()
    scene.expect()
    assert scene.ended() == {"target_refused": 1}
    scene.client.says(b"GET /")
    assert scene.count("drop_mirror_connection_ended") == 1


def test_challenged_syn_is_reset_and_sent_again(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.shows("A", seq=500, ack=1234)
    reset, _ = scene.expect("R", "S")
    assert reset.seq == 1234
    scene.target.accept()
    scene.expect("A")


def test_lost_data_is_retransmitted(open_scene):
    scene = open_scene
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
    scene.advance(0.3)
    scene.expect("PA GET /")
    scene.advance(0.5)
    scene.expect("PA GET /")
    assert scene.count("retransmits") == 2
    scene.target.acks()
    scene.advance(60)
    scene.expect()


def test_data_never_acknowledged_ends_the_session(make_scene):
    scene = make_scene(timing=Timing(tries=3))
    scene.establish()
    scene.client.says(b"GET /")
    scene.advance(5)
    scene.expect("PA GET /", "PA GET /", "PA GET /", "RA")
    assert scene.ended() == {"target_unresponsive": 1}


def test_three_duplicate_acks_retransmit_at_once(open_scene):
    scene = open_scene
    for letter in b"abcde":
        scene.client.says(bytes([letter]) * 1000)
    assert len(scene.sent()) == 5
    for _ in range(4):
        scene.target.acks(ack=1000)  # the first is new, three repeat it
    again = scene.sent()
    assert [(segment.seq, segment.payload[:1]) for segment in again][:1] == [(1000, b"b")]
    assert scene.count("retransmits") == 1


def test_closed_window_is_respected_and_probed(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(window=0)
    scene.expect("A")
    scene.client.says(b"GET /")
    scene.expect()
    scene.advance(0.3)
    scene.expect("A G")
    scene.target.acks(ack=0, window=0)
    scene.advance(20)
    assert {str(segment) for segment in scene.sent()} == {"A G"}
    scene.target.acks(ack=1, window=500)
    assert b"".join(segment.payload for segment in scene.sent()) == b"ET /"
    assert scene.ended() == {}


def test_small_window_is_filled_and_no_more(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(window=2000, options=[("MSS", 1000)])
    scene.expect("A")
    scene.client.says(bytes(5000))
    assert sum(len(segment.payload) for segment in scene.sent()) == 2000
    scene.target.acks(ack=2000, window=2000)
    assert sum(len(segment.payload) for segment in scene.sent()) == 2000


def test_scaled_window(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(window=10, options=[("MSS", 1000), ("WScale", 7)])
    scene.expect("A")
    scene.target.acks(window=10)
    scene.client.says(bytes(3000))
    assert sum(len(segment.payload) for segment in scene.sent()) == 1000  # 1280 bytes, less a silly remainder


def test_segments_are_cut_to_the_targets_mss(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(options=[("MSS", 500), *OPTIONS[1:]])
    scene.expect("A")
    scene.client.says(bytes(range(200)) * 7)
    sizes = [len(segment.payload) for segment in scene.sent()]
    assert sizes == [488, 488, 424]  # 12 bytes of each are the timestamp option


def test_segments_of_many_small_pieces_arrive_whole(open_scene):
    scene = open_scene
    scene.client.says(b"x")
    scene.expect("PA x")
    for seq in range(60, 0, -1):
        scene.client.shows("PA", bytes([64 + seq]), seq=seq)
    scene.client.shows("PA", b"@", seq=1)
    assert b"".join(segment.payload for segment in scene.sent()) == bytes(range(65, 125))


def test_answers_out_of_order_are_counted_once_and_sacked(open_scene):
    scene = open_scene
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
    scene.target.shows("PA", bytes(1000), seq=1000)
    ack = scene.expect("A")[0]
    assert ack.ack == 0
    left, right = ack.options["SAck"]
    assert (left - scene.target.isn - 1, right - scene.target.isn - 1) == (1000, 2000)
    scene.target.shows("PA", bytes(1000), seq=1000)
    scene.expect("A")
    scene.target.shows("PA", bytes(1000), seq=0)
    assert scene.expect("A")[0].ack == 2000
    assert scene.count("answer_bytes") == 2000


def test_lost_piece_of_the_answer_keeps_the_next_request_back(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.says(bytes(2000))
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.shows("PA", bytes(1000), seq=1000)
    scene.advance(0.05)
    scene.expect("A")
    scene.target.shows("PA", bytes(1000), seq=0)
    scene.expect("PA two")


def test_target_reset_ends_the_session(open_scene):
    scene = open_scene
    scene.target.resets()
    scene.expect()
    assert scene.ended() == {"target_reset": 1}


def test_reset_with_a_wrong_number_is_challenged(open_scene):
    scene = open_scene
    scene.target.shows("R", seq=100)
    scene.expect("A")
    assert scene.ended() == {}
    assert scene.count("drop_test_unacceptable") == 1


def test_target_closes_first(open_scene):
    scene = open_scene
    scene.exchange()
    scene.server.closes()
    scene.target.closes()
    scene.expect("A")
    scene.client.closes()
    scene.expect("FA")
    scene.target.acks()
    assert scene.ended() == {"complete": 1}


def test_target_that_closes_early_and_resets(open_scene):
    scene = open_scene
    scene.exchange()
    scene.target.closes()
    scene.expect("A")
    scene.client.says(b"again")
    scene.expect("PA again")
    scene.target.resets()
    assert scene.ended() == {"target_closed": 1}


def test_half_close_is_sent_with_the_request(open_scene):
    scene = open_scene
    scene.client.shows("FPA", b"all I say", seq=0)
    scene.expect("FPA all I say")
    scene.target.says(b"answer")
    scene.expect("A")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}


def test_simultaneous_close(open_scene):
    scene = open_scene
    scene.client.closes()
    scene.expect("FA")
    scene.target.shows("FA", ack=0)
    scene.target.next += 1
    scene.expect("A")
    scene.target.acks()
    assert scene.ended() == {"complete": 1}


def test_fin_waits_for_the_answer(open_scene):
    scene = open_scene
    scene.client.says(b"GET /")
    scene.server.says(b"200 OK")
    scene.client.closes()
    scene.expect("PA GET /")
    scene.target.acks()
    scene.expect()
    scene.target.says(b"200 OK")
    scene.expect("FA")


def test_lost_fin_is_retransmitted(open_scene):
    scene = open_scene
    scene.client.closes()
    scene.expect("FA")
    scene.advance(0.3)
    scene.expect("FA")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}


def test_client_reset_is_replayed_at_the_same_point(open_scene):
    scene = open_scene
    scene.client.says(b"GET /big")
    scene.server.says(bytes(1000))
    scene.client.acks()
    scene.client.resets()
    scene.expect("PA GET /big")
    scene.target.says(bytes(500))
    scene.expect("A")
    scene.target.says(bytes(500))
    scene.expect("RA")
    assert scene.ended() == {"client_reset": 1}


def test_reset_by_the_production_server(open_scene):
    scene = open_scene
    scene.exchange()
    scene.server.resets()
    scene.expect("RA")
    assert scene.ended() == {"client_reset": 1}


def test_answer_to_nobody_is_reset(scene):
    scene.target.shows("PA", b"?", ack=100)
    reset = scene.expect("R")[0]
    assert reset.raw["TCP"].seq == scene.target.iss + 101
    assert scene.count("drop_test_no_session") == 1


def test_frames_from_elsewhere_are_dropped(scene):
    scene.addresses = (scene.addresses[0], scene.addresses[1], ("198.19.0.66", 8080))
    scene.target.shows("PA", b"?", ack=100)
    scene.expect()
    assert scene.count("drop_test_no_transfer") == 1


def test_stop_resets_open_sessions(open_scene):
    scene = open_scene
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
    scene.dataplane.drain()
    scene.step()
    scene.expect("RA")
    assert scene.ended() == {"stopped": 1}
    scene.client.own = ("198.18.0.12", 5)
    scene.client.shows("S", seq=-1)
    assert scene.count("drop_mirror_draining") == 1


def test_full_ring_delays_and_loses_nothing(open_scene):
    scene = open_scene
    scene.dataplane.limit(1, 0, 1)
    for letter in b"abcd":
        scene.client.says(bytes([letter]) * 1000)
    received = b""
    for _ in range(10):
        received += b"".join(segment.payload for segment in scene.sent())
        scene.step()
    assert received == b"a" * 1000 + b"b" * 1000 + b"c" * 1000 + b"d" * 1000


def test_bulk_upload_over_many_chunks(make_scene):
    scene = make_scene(limits=Limits(16, 16, 8 << 20))
    scene.establish()
    data = bytes(i * 7 % 251 for i in range(300_000))
    received = b""
    for start in range(0, len(data), 1448):
        scene.client.says(data[start : start + 1448])
        received += b"".join(segment.payload for segment in scene.sent())
        if start // 1448 % 3 == 0:
            scene.target.acks()
    while len(received) < len(data):
        scene.target.acks()
        received += b"".join(segment.payload for segment in scene.sent())
    assert received == data


def test_same_endpoint_again_gets_a_higher_sequence_number(open_scene):
    scene = open_scene
    first = scene.target.iss
    scene.client.resets()
    scene.sent()
    scene.advance(0.1)
    scene.client.isn += 100_000
    scene.client.next = 0
    scene.client.connect()
    scene.expect("S")
    assert 0 < (scene.target.iss - first) % (1 << 32) < 1 << 31


def test_timing_starts_anywhere(make_scene):
    for start in (0, 1, (1 << 63) // 10, 12345 * SECOND):
        scene = make_scene(start=start)
        scene.establish()
        scene.exchange()


def test_reset_after_both_have_closed_is_no_abort(open_scene):
    scene = open_scene
    scene.exchange()
    scene.client.closes()
    scene.server.closes()
    scene.client.resets()
    scene.expect("FA")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}


def test_window_of_an_old_segment_that_acknowledges_more(scene):
    """A retransmission of the target's: what it offers counts from what it acknowledges."""
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(window=2000)
    scene.expect("A")
    for size in (1000, 1000, 500):
        scene.client.says(bytes(size))
    assert sum(len(segment.payload) for segment in scene.sent()) == 2000
    scene.target.shows("PA", b"world", seq=5, ack=1000, window=8)
    scene.target.shows("PA", b"hello", seq=0, ack=2000, window=0)
    assert not any(segment.payload for segment in scene.sent())


def test_empty_segments_behind_a_probe_lie_in_the_closed_window(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(window=0)
    scene.expect("A")
    scene.client.says(b"GET /")
    scene.advance(0.3)
    scene.expect("A G")
    scene.target.shows("PA", b"hello", ack=0, window=0)
    assert scene.expect("A")[0].seq == 0
    scene.target.next += 5
    scene.dataplane.drain()
    scene.step()
    assert scene.expect("RA")[0].seq == 0
