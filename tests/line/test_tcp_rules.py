"""Rules of TCP that only trouble shows: lost SYNs, windows, FINs out of order, urgent data, sizes."""

from tests.line.scene import OPTIONS


def test_timeout_is_three_seconds_after_a_lost_syn(scene):
    """RFC 6298 5.7; the SYN was sent three times, so its own timeout had grown to 8 s."""
    scene.client.connect()
    scene.advance(3.5)
    scene.expect("S", "S", "S")
    scene.target.accept()
    scene.client.says(b"GET /")
    scene.expect("A", "PA GET /")
    scene.advance(2.9)
    scene.expect()
    scene.advance(0.2)
    scene.expect("PA GET /")


def test_mirrored_window_is_taken_as_offered(make_scene):
    scene = make_scene(ack_mirrored=True)
    scene.establish()
    scene.client.shows("PA", b"GET /", window=65535)
    scene.client.next += 5
    request = scene.expect("PA GET /")[0]
    offered = request.window << 7
    assert offered == 65535 << 7
    scene.target.shows("A", bytes(1000), seq=offered - 1000)
    scene.expect("A")
    assert scene.count("drop_test_unacceptable") == 0
    scene.target.shows("A", bytes(1000), seq=offered)
    assert scene.count("drop_test_unacceptable") == 1


def test_fin_out_of_order_is_answered_at_once(open_scene):
    scene = open_scene
    scene.target.shows("FA", seq=100)
    assert scene.expect("A")[0].ack == 0
    scene.target.says(bytes(100))
    assert scene.expect("A")[0].ack == 101


def test_requests_are_cut_to_the_mss_of_the_transfer(make_scene):
    scene = make_scene(mss=536)
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(options=OPTIONS)
    scene.expect("A")
    scene.client.says(bytes(1400))
    assert [len(segment.payload) for segment in scene.sent()] == [524, 524, 352]  # and 12 of options


def urgent(segment):
    """The offset that the segment's urgent pointer stands for, or None."""
    return segment.seq + segment.raw["TCP"].urgptr if "U" in segment.flags else None


def test_urgent_data_stays_urgent(open_scene):
    scene = open_scene
    scene.client.shows("PAU", b"abc", urgptr=2)
    scene.client.next += 3
    assert [urgent(segment) for segment in scene.expect("PAU abc")] == [2]
    scene.client.says(b"def")
    assert [urgent(segment) for segment in scene.expect("PA def")] == [None]


def test_urgent_pointer_follows_its_byte_into_other_segments(scene):
    scene.client.connect()
    scene.expect("S")
    scene.target.accept(options=[("MSS", 500)])
    scene.expect("A")
    scene.client.says(b"x" * 100)
    scene.client.shows("PAU", b"y" * 900, urgptr=850)
    scene.client.next += 900
    assert b"".join(segment.payload for segment in scene.sent()[:1]) == b"x" * 100
    scene.target.acks(ack=100)
    pieces = scene.sent()
    scene.advance(0.3)
    again = scene.sent()[0]
    assert {urgent(segment) for segment in [*pieces, again]} == {950}


def test_urgent_data_out_of_order(open_scene):
    scene = open_scene
    scene.client.shows("PAU", b"abc", seq=3, urgptr=3)
    scene.client.shows("PA", b"...", seq=0)
    assert [urgent(segment) for segment in scene.sent() if "U" in segment.flags] == [6]
