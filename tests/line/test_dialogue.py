"""Handshake and turn-taking: when a request may leave."""

import pytest

from dataplane.binding import SECOND, Timing
from tests.line.scene import OPTIONS


@pytest.mark.parametrize("both", [True, False], ids=["both directions", "client only"])
@pytest.mark.parametrize("ipv6", [False, True], ids=["IPv4", "IPv6"])
def test_keepalive_connection_is_replayed_whole(make_scene, both, ipv6):
    scene = make_scene(both=both, ipv6=ipv6)
    scene.establish()
    scene.exchange(b"GET /1")
    scene.exchange(b"GET /2")
    scene.client.closes()
    scene.expect("FA")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}
    assert scene.count("request_bytes_acked") == 12
    assert scene.count("answer_bytes") == 12


def test_syn_carries_the_mirrored_clients_options(scene):
    scene.client.connect()
    syn = scene.expect("S")[0]
    assert set(syn.options) == {"MSS", "SAckOK", "Timestamp", "NOP", "WScale"}
    assert syn.options["MSS"] == 1460
    assert syn.options["WScale"] == 7
    assert (syn.raw.src, syn.raw.dst) == ("02:00:00:00:00:0a", "02:00:00:00:00:0b")


def test_syn_without_options_stays_without(scene):
    scene.client.connect(options=[])
    assert scene.expect("S")[0].options == {}


def test_mss_is_clamped_to_the_test_port(make_scene):
    scene = make_scene(mtu=1000)
    scene.client.connect()
    assert scene.expect("S")[0].options["MSS"] == 960


def test_ack_echoes_the_targets_timestamp(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(options=[*OPTIONS[:2], ("Timestamp", (777, 1))])
    ack = scene.expect("A")[0]
    assert ack.options["Timestamp"][1] == 777


def test_request_waits_for_the_targets_handshake(scene):
    scene.client.connect()
    scene.client.says(b"GET /")
    scene.expect("S")
    scene.target.accept()
    scene.expect("PA GET /")


def test_request_waits_for_the_targets_greeting(scene):
    scene.establish()
    scene.server.says(b"220 hello")
    scene.client.says(b"HELO")
    scene.expect()
    scene.target.says(b"220 hello")
    scene.expect("PA HELO")


def test_next_request_waits_for_as_many_bytes_as_production_answered(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.says(b"answer")
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.says(b"ans")
    scene.expect("A")
    scene.target.says(b"wer")
    scene.expect("PA two")


def test_next_request_waits_until_the_target_has_acknowledged(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.says(b"answer")
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.shows("PA", b"answer", ack=0)
    scene.target.next += 6
    scene.expect("A")
    scene.target.acks()
    scene.expect("PA two")


def test_shorter_answer_ends_after_silence(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.says(b"a long answer")
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.says(b"short")
    scene.expect("A")
    scene.advance(0.003)
    scene.expect()
    scene.advance(0.004)
    scene.expect("PA two")
    assert scene.count("gate_by_settle") == 1


def test_much_shorter_answer_is_likely_not_over(open_scene):
    """A stalled target, or a lost segment of the answer: it goes on after its retransmission timeout."""
    scene = open_scene
    scene.client.says(b"one")
    for _ in range(5):
        scene.server.says(bytes(1000))
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.says(bytes(1000))
    scene.expect("A")
    scene.advance(0.25)
    scene.expect()
    scene.advance(0.06)
    scene.expect("PA two")


def test_pipelined_requests_are_sent_at_once(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.client.says(b"two")
    scene.expect("PA one", "PA two")
    assert scene.count("turns_sent") == 1


def test_silent_target_ends_the_session(make_scene):
    scene = make_scene(timing=Timing(response_timeout=2 * SECOND))
    scene.establish()
    scene.client.says(b"one")
    scene.server.says(b"answer")
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.acks()
    scene.advance(1.9)
    scene.expect()
    scene.advance(0.2)
    scene.expect("RA")
    assert scene.ended() == {"target_silent": 1}
    assert scene.count("request_bytes_abandoned") == 3


def test_long_poll_waits_for_the_answer(open_scene):
    scene = open_scene
    scene.client.says(b"poll")
    scene.expect("PA poll")
    scene.target.acks()
    scene.advance(60)
    scene.server.says(b"news")
    scene.client.says(b"poll again")
    scene.expect()
    scene.target.says(b"news")
    scene.expect("PA poll again")


def test_answer_in_pieces_is_acknowledged_piece_by_piece(open_scene):
    scene = open_scene
    scene.client.says(b"GET /")
    scene.expect("PA GET /")
    for end in (1000, 2000, 3000):
        scene.target.says(bytes(1000))
        assert scene.expect("A")[0].ack == end


def test_new_connection_on_a_live_key_supersedes_the_old(open_scene):
    scene = open_scene
    scene.client.isn += 77777
    scene.client.next = scene.client.seen = 0
    scene.client.connect()
    scene.expect("RA", "S")
    assert scene.ended() == {"superseded": 1}
    scene.target.accept()
    scene.expect("A")


def test_other_services_are_not_replayed(make_scene):
    scene = make_scene(source="198.18.0.99")
    scene.client.connect()
    scene.expect()
    assert scene.count("drop_mirror_no_transfer") == 3


def test_rest_of_a_request_whose_beginning_was_answered_early(open_scene):
    scene = open_scene
    scene.client.says(b"1,2,3")  # sent together; the third is not whole
    scene.server.says(b"ab")
    scene.client.says(b"rest of")
    scene.server.says(b"cd")
    scene.client.says(b"3")
    scene.expect("PA 1,2,3")
    scene.target.says(b"abcd")  # both answers at once
    scene.expect("PA rest of")
    scene.target.acks()
    scene.expect()
    scene.advance(0.01)
    scene.expect("PA 3")


def test_longer_answers_do_not_add_up_to_a_missing_one(open_scene):
    scene = open_scene
    for _ in range(20):
        scene.client.says(b"GET /")
        scene.server.says(b"short")
        scene.expect("PA GET /")
        scene.target.says(b"longer")
        scene.expect("A")
    scene.client.says(b"GET /last")
    scene.server.says(b"short")
    scene.client.says(b"after it")
    scene.expect("PA GET /last")
    scene.target.acks()
    scene.advance(0.9)  # after a second of silence it is level with production in all, and may be over
    scene.expect()


def test_answer_that_came_with_an_earlier_one_is_not_waited_for_for_ever(open_scene):
    scene = open_scene
    scene.client.says(b"all requests")
    scene.server.shows("PA", bytes(1000))
    scene.expect("PA all requests")
    scene.target.says(bytes(1000))
    scene.expect("A")
    for seen, more in ((100, b"one"), (105, b"two"), (1000, b"three")):
        scene.client.seen = seen
        scene.client.says(more)
        scene.advance(1.1)
        assert {segment.payload for segment in scene.sent()} - {b""} == {more}
        scene.target.acks()
        if more == b"one":
            scene.target.says(bytes(5))
    assert scene.ended() == {}


def test_request_is_delivered_before_the_clients_reset(open_scene):
    scene = open_scene
    scene.client.says(b"fire and forget")
    scene.client.resets()
    scene.expect("PA fire and forget")
    scene.target.acks()
    scene.expect("RA")
    assert scene.ended() == {"client_reset": 1}


def test_upload_that_goes_on_is_not_silence(make_scene):
    scene = make_scene(timing=Timing(response_timeout=2 * SECOND))
    scene.establish()
    for _ in range(4):
        scene.client.says(bytes(1000))
    scene.client.closes()
    for acked in (1000, 2000, 3000):
        scene.advance(1.5)
        scene.target.acks(ack=acked)
    assert scene.ended() == {}


def test_no_settling_while_a_piece_of_the_answer_is_missing(open_scene):
    scene = open_scene
    scene.client.says(b"one")
    scene.server.says(bytes(3000))
    scene.client.says(b"two")
    scene.expect("PA one")
    scene.target.shows("PA", bytes(1000), seq=0)
    scene.target.shows("PA", bytes(1000), seq=2000)
    scene.advance(0.9)
    assert b"two" not in [segment.payload for segment in scene.sent()]


def upload_that_is_answered_midway(scene, last):
    """Full segments, and behind them what acknowledges an answer; ``last`` is the size of the one before."""
    scene.client.says(bytes(1448), "A")
    scene.client.says(bytes(last))
    scene.server.says(b"STORED")
    scene.client.says(b"rest")
    scene.server.says(b"STORED")
    scene.client.says(b"next")
    assert sum(len(segment.payload) for segment in scene.sent()) == 1448 + last
    scene.target.acks()


def test_rest_of_a_request_leaves_though_the_target_says_nothing_without_it(open_scene):
    scene = open_scene
    upload_that_is_answered_midway(scene, 1448)
    scene.advance(0.9)
    scene.expect()
    scene.advance(0.2)
    scene.expect("PA rest")
    assert scene.count("gate_by_silence") == 1
    scene.target.says(b"STORED")
    scene.expect("A")
    scene.target.says(b"STORED")
    scene.expect("PA next")
    assert scene.count("turns_sent") == 2


def test_rest_of_a_request_leaves_at_once_where_the_target_answers(open_scene):
    scene = open_scene
    upload_that_is_answered_midway(scene, 1448)
    scene.target.says(b"STORED")
    scene.expect("PA rest")


def test_request_behind_a_segment_that_is_not_full_waits_for_the_answer(open_scene):
    scene = open_scene
    upload_that_is_answered_midway(scene, 1447)
    scene.advance(60)
    scene.expect()
    assert scene.count("gate_by_silence") == 0


def test_target_that_speaks_early_has_time_to_answer_when_the_request_is_delivered(open_scene):
    scene = open_scene
    for _ in range(2):
        scene.client.says(bytes(1000))
    scene.server.says(bytes(100))
    scene.client.says(b"next")
    scene.sent()
    scene.target.shows("PA", b"100 go on", ack=1000)
    scene.target.next += 9
    scene.expect("A")
    scene.advance(0.15)
    scene.target.acks()
    scene.expect()
    scene.advance(0.004)
    scene.expect()
    scene.target.says(bytes(91))
    scene.expect("PA next")


def three_requests(scene):
    """Each answered by production with ten bytes; the target has had the first."""
    for text in (b"one", b"two", b"three"):
        scene.client.says(text)
        scene.server.says(b"0123456789")
    scene.expect("PA one")


def test_rest_of_an_answer_is_not_the_next_answer(open_scene):
    """A server that is held up before its last bytes: what comes late says nothing about the next request."""
    scene = open_scene
    three_requests(scene)
    scene.target.says(b"0123")
    scene.expect("A")
    scene.advance(0.007)
    scene.expect("PA two")
    scene.target.says(b"456789")
    scene.expect("A")
    scene.advance(0.1)
    scene.expect()
    scene.target.says(b"0123456789")
    scene.expect("PA three")


def test_answers_that_are_shorter_again_and_again_cost_one_long_silence(open_scene):
    scene = open_scene
    three_requests(scene)
    scene.client.says(b"four")
    scene.server.says(b"0123456789")
    scene.target.says(b"0123")
    scene.expect("A")
    scene.advance(0.007)
    scene.expect("PA two")
    scene.target.says(b"0123")
    scene.expect("A")
    scene.advance(0.25)
    scene.expect()
    scene.advance(0.06)
    scene.expect("PA three")
    scene.target.says(b"0123")
    scene.expect("A")
    scene.advance(0.007)
    scene.expect("PA four")
