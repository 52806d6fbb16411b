"""Sessions end by order (stop, pause, removal): the target lets go of every one of them, and we know when."""

from dataclasses import replace
from functools import partial

import pytest

from dataplane.binding import TransferState
from tests.line.scene import TEST, frame
from tests.line.test_admission import connect_clients
from tests.line.test_live import MANY, adjust

NOT_RUNNING = (TransferState.STOPPED, TransferState.PAUSED, TransferState.REMOVED)
MORE_THAN_A_LOOP_RESETS = 600
AT_ONCE = 300

pytestmark = pytest.mark.parametrize("state", NOT_RUNNING)


@pytest.fixture
def make_scene(make_scene):
    return partial(make_scene, verify_checksums=False)


@pytest.fixture
def crowded(make_scene):
    """An established session behind so many others that a change reaches it some loops later."""
    scene = make_scene(limits=MANY)
    assert len(connect_clients(scene, MORE_THAN_A_LOOP_RESETS)) == MORE_THAN_A_LOOP_RESETS
    scene.establish()
    return scene


def order(scene, state):
    """The change is there; no worker has looked yet."""
    scene.dataplane.change([replace(scene.dataplane.config.transfers[0], state=state)])


def follow(scene):
    while not scene.dataplane.is_changed():
        scene.step()


def reset_of(scene):
    """The RST of the scene's own session, among all that has left."""
    (found,) = [s for s in scene.sent() if s.raw.sport == scene.client.own[1] and "R" in s.flags]
    return found


@pytest.mark.parametrize("said", ["says", "closes"])
def test_reset_carries_the_highest_number_that_has_left(crowded, state, said):
    order(crowded, state)
    crowded.client.says(b"GET /") if said == "says" else crowded.client.closes()
    assert not crowded.dataplane.is_changed()
    follow(crowded)
    assert reset_of(crowded).seq == crowded.target.seen
    crowded.expect()


def test_nothing_but_resets_leaves_once_a_worker_has_taken_the_order_up(crowded, state):
    order(crowded, state)
    crowded.client.says(b"GET /")
    follow(crowded)
    assert {segment.flags for segment in crowded.sent()} <= {"R", "RA"}


def test_reset_of_a_request_that_found_no_room_is_exact(open_scene, state):
    open_scene.dataplane.limit(TEST, 0, 0)
    open_scene.client.says(b"GET /")
    adjust(open_scene, state=state)
    open_scene.dataplane.limit(TEST, 0, 4096)
    open_scene.step()
    assert reset_of(open_scene).seq == 0


@pytest.mark.parametrize("said", ["says", "closes"])
def test_challenge_is_answered_with_the_exact_reset(open_scene, state, said):
    open_scene.client.says(b"GET /") if said == "says" else open_scene.client.closes()
    adjust(open_scene, state=state)
    assert [segment.flags for segment in open_scene.sent()][-1] == "RA"
    open_scene.target.acks(ack=0)  # what had left did not arrive
    assert [segment.seq for segment in open_scene.expect("R")] == [0]
    open_scene.advance(10)
    open_scene.target.acks(ack=0)
    assert [segment.seq for segment in open_scene.expect("R")] == [0]


def test_every_one_of_many_challenges_at_once_is_answered(make_scene, state):
    scene = make_scene(limits=MANY)
    clients = connect_clients(scene, AT_ONCE)
    order(scene, state)
    follow(scene)
    scene.step()
    scene.sent()
    for client in clients:
        challenge = frame(scene.addresses[2], client, flags="A", seq=1, ack=77)
        scene.dataplane.inject(TEST, scene.queue, challenge)
    scene.step()
    scene.step()
    assert [segment.raw.seq for segment in scene.sent()] == [77] * AT_ONCE


def test_what_the_target_has_acknowledged_is_confirmed_when_the_reset_has_left(open_scene, state):
    open_scene.exchange()
    open_scene.dataplane.limit(TEST, 0, 0)
    adjust(open_scene, state=state)
    assert open_scene.dataplane.unconfirmed() == 1
    open_scene.dataplane.limit(TEST, 0, 4096)
    open_scene.step()
    open_scene.step()
    open_scene.expect("RA")
    assert open_scene.dataplane.unconfirmed() == 0


def test_bytes_in_flight_are_confirmed_when_the_target_stays_quiet(open_scene, state):
    open_scene.client.says(b"GET /")
    adjust(open_scene, state=state)
    open_scene.advance(0.04)
    assert open_scene.dataplane.unconfirmed() == 1
    open_scene.advance(0.02)
    assert open_scene.dataplane.unconfirmed() == 0


def test_bytes_in_flight_on_a_long_way_are_confirmed_after_two_round_trips(scene, state):
    scene.client.connect()
    scene.expect("S")
    scene.advance(0.1)
    scene.target.accept()
    scene.expect("A")
    scene.client.says(b"GET /")
    adjust(scene, state=state)
    scene.advance(0.19)
    assert scene.dataplane.unconfirmed() == 1
    scene.advance(0.02)
    assert scene.dataplane.unconfirmed() == 0


def test_a_challenge_puts_the_session_in_doubt_again(open_scene, state):
    open_scene.client.says(b"GET /")
    adjust(open_scene, state=state)
    for _ in range(5):  # once for a session, however often it asks
        open_scene.advance(0.04)
        open_scene.target.acks(ack=0)
        open_scene.step()
        assert open_scene.dataplane.unconfirmed() == 1
    open_scene.advance(0.06)
    assert open_scene.dataplane.unconfirmed() == 0


def test_a_target_that_resets_has_let_go(open_scene, state):
    open_scene.client.says(b"GET /")
    adjust(open_scene, state=state)
    open_scene.target.resets()
    open_scene.advance(0.002)
    assert open_scene.dataplane.unconfirmed() == 0


def test_a_session_that_was_never_heard_of_needs_no_confirmation(scene, state):
    scene.dataplane.limit(TEST, 0, 0)
    scene.client.connect()
    adjust(scene, state=state)
    scene.dataplane.limit(TEST, 0, 4096)
    scene.step()
    scene.step()
    scene.expect()
    assert scene.dataplane.unconfirmed() == 0
