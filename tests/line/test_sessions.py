"""What is told of sessions: state, and why they wait."""

import errno

import pytest

from dataplane.binding import DataplaneError, Limits, SessionState, Waits
from tests.line.test_admission import connect_clients

MANY = Limits(20000, 65536, 64 << 20)


def sessions(scene, **wanted):
    scene.dataplane.ask_sessions(**wanted)
    for _ in range(1000):
        scene.dataplane.step(scene.now)
        answer = scene.dataplane.take_sessions(wanted.get("limit", 1000))
        if answer is not None:
            return answer
    raise AssertionError("a worker does not answer")


def only(scene):
    (found,), more = sessions(scene)
    assert not more
    return found


def test_a_session_from_its_handshake_to_its_end(scene):
    scene.client.connect()
    found = only(scene)
    assert (found.state, found.waits) == (SessionState.SYN_SENT, Waits.HANDSHAKE)
    scene.sent()
    scene.target.accept()
    scene.expect("A")
    found = only(scene)
    assert (found.state, found.waits) == (SessionState.ESTABLISHED, Waits.PRODUCTION)
    assert [str(end[0]) for end in (found.client, found.server, found.forged, found.target)] == [
        "198.18.0.10",
        "198.18.0.2",
        "198.18.0.10",
        "198.19.0.2",
    ]
    assert (found.client[1], found.target[1]) == (40000, 8080)
    scene.client.says(b"GET /1")
    assert only(scene).waits is Waits.ACKNOWLEDGEMENT
    scene.sent()
    scene.target.acks()
    scene.server.says(b"200 OK")
    scene.client.says(b"GET /2")
    scene.advance(0.5)
    found = only(scene)
    assert found.waits is Waits.ANSWER
    assert (found.turns, found.request_bytes, found.pending_bytes, found.answer_bytes) == (1, 12, 6, 0)
    assert found.idle == pytest.approx(0.5e9)
    assert found.age >= found.idle
    scene.target.says(b"200 OK")
    scene.sent()
    scene.target.acks()
    scene.client.closes()
    scene.server.says(b"200 OK")
    scene.target.says(b"200 OK")
    scene.sent()
    assert only(scene).state is SessionState.FIN_WAIT
    scene.target.closes()
    scene.expect("A")
    assert sessions(scene) == ([], False)


def test_missing_bytes_and_a_closed_window_are_told(open_scene):
    scene = open_scene
    scene.client.says_unmirrored(b"lost")
    scene.client.says(b"rest")
    assert only(scene).waits is Waits.MIRROR_GAP
    scene.client.shows("PA", b"lost", seq=0)
    scene.sent()
    scene.target.acks(window=0)
    scene.client.says(b"more")
    assert only(scene).waits is Waits.WINDOW


def test_filters_and_limits(make_scene):
    scene = make_scene(limits=MANY, verify_checksums=False, workers=2)
    connect_clients(scene, 3000)
    found, more = sessions(scene, limit=10)
    assert (len(found), more) == (10, True)
    found, more = sessions(scene, limit=1000)
    assert len({(one.worker, one.slot) for one in found}) == 1000
    assert more
    (one,), more = sessions(scene, client=found[7].client[0])
    assert (one, more) == (found[7], False)
    assert found[7] in sessions(scene, slot=found[7].slot)[0]
    assert sessions(scene, state=SessionState.ESTABLISHED) == ([], False)
    assert sessions(scene, transfer=1) == ([], False)
    assert len(sessions(scene, transfer=0, state=SessionState.SYN_SENT)[0]) == 1000


def test_questions_come_one_at_a_time(scene):
    scene.dataplane.ask_sessions()
    with pytest.raises(DataplaneError) as caught:
        scene.dataplane.ask_sessions()
    assert caught.value.errno == errno.EBUSY
    assert scene.dataplane.take_sessions() is None
    scene.step()
    assert scene.dataplane.take_sessions() == ([], False)
    with pytest.raises(DataplaneError, match="at most 1000"):
        scene.dataplane.ask_sessions(limit=1001)
