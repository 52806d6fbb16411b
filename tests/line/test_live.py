"""Transfers change while the line runs: what is not concerned goes on, what is ends under its own reason."""

import errno
from dataclasses import replace
from functools import partial
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP

from dataplane.binding import SECOND, DataplaneError, Limits, Range, TransferState
from tests.line.scene import frame
from tests.line.test_admission import connect_clients

MANY = Limits(20000, 65536, 64 << 20)
OTHER = "198.19.0.3"


def change(scene, *transfers):
    scene.dataplane.change(transfers)
    scene.step()
    assert scene.dataplane.is_changed()


def adjust(scene, **settings):
    """The scene's one transfer, with other settings."""
    change(scene, replace(scene.dataplane.config.transfers[0], **settings))


def other(scene, **settings):
    """A second transfer: another port, to another target."""
    first = scene.dataplane.config.transfers[0]
    return replace(first, source_port=81, target_ip=ip_address(OTHER), **settings)


def syn_to(scene, port, client_port):
    """A client opens a connection to a production port; the targets of the SYNs that leave."""
    iss = scene.target.iss
    scene.mirror(frame(("198.18.0.77", client_port), ("198.18.0.2", port), flags="S", seq=1))
    left = scene.sent()
    scene.target.iss = iss  # that of the scene's own client
    return [s.raw[IP].dst for s in left if s.flags == "S"]


def opened_by(scene, first_port):
    """Sessions that a hundred connections of one client open."""
    before = scene.count("sessions_opened")
    connect_clients(scene, 100, first_port, one_client=True)
    return scene.count("sessions_opened") - before


@pytest.fixture
def make_scene(make_scene):
    return partial(make_scene, verify_checksums=False)


def test_multiplier_counts_for_connections_that_begin_after_it(make_scene):
    scene = make_scene(limits=MANY)
    for multiplier in (1, 3, 1):
        adjust(scene, multiplier=multiplier)
        before = scene.count("sessions_live")
        connect_clients(scene, 10, first_port=1000 * multiplier + before)
        assert scene.count("sessions_live") - before == 10 * multiplier
    assert scene.ended() == {}


def test_sample_changes_at_once(make_scene):
    scene = make_scene(limits=MANY)
    taken = []
    for phase, percent in enumerate((100, 10, 100)):
        adjust(scene, sample=(1 << 32) * percent // 100)
        taken.append(len(connect_clients(scene, 1000, 10000 * (phase + 1), one_client=True)))
    assert taken[0] == taken[2] == 1000
    assert taken[1] == pytest.approx(100, abs=2)


def test_a_ramp_begins_when_it_is_set(make_scene):
    scene = make_scene(limits=MANY)
    assert opened_by(scene, 1000) == 100
    scene.now += 100 * SECOND
    adjust(scene, ramp=10 * SECOND)
    assert opened_by(scene, 2000) == 0
    scene.now += 5 * SECOND
    assert opened_by(scene, 3000) == pytest.approx(50, abs=3)
    adjust(scene, no_wait=True)
    assert opened_by(scene, 4000) == pytest.approx(50, abs=3)
    scene.now += 5 * SECOND
    assert opened_by(scene, 5000) == 100


def test_a_cap_of_one_transfer_leaves_the_others(make_scene):
    scene = make_scene(limits=MANY)
    first = scene.dataplane.config.transfers[0]
    change(scene, replace(first, sessions_per_second=5), other(scene))
    assert sum(len(syn_to(scene, 80, 1000 + i)) for i in range(20)) == 5
    assert sum(len(syn_to(scene, 81, 2000 + i)) for i in range(20)) == 20
    scene.now += SECOND
    assert sum(len(syn_to(scene, 80, 3000 + i)) for i in range(20)) == 5
    change(scene, first, other(scene))
    assert sum(len(syn_to(scene, 80, 4000 + i)) for i in range(20)) == 20
    assert scene.count("drop_mirror_rate_limited") == 30


def test_a_cap_of_all_transfers_changes_too(make_scene):
    scene = make_scene(limits=MANY)
    scene.dataplane.change(scene.dataplane.config.transfers, sessions_per_second=7)
    assert len(connect_clients(scene, 20)) == 7


def test_another_pool_gives_other_clients(make_scene):
    scene = make_scene(limits=MANY)
    adjust(scene, pool=(Range(ip_address("198.18.200.1"), 1),))
    assert {client for client, _ in connect_clients(scene, 5)} == {"198.18.200.1"}
    adjust(scene, pool=(Range(ip_address("198.18.201.1"), 1), Range(ip_address("198.18.202.1"), 1)))
    assert {client for client, _ in connect_clients(scene, 6, 30000)} == {"198.18.201.1", "198.18.202.1"}


def test_a_transfer_is_added_and_the_session_of_another_does_not_notice(scene):
    scene.establish()
    scene.client.says(b"GET /1")
    assert syn_to(scene, 81, 5000) == []
    scene.sent()
    change(scene, scene.dataplane.config.transfers[0], other(scene))
    assert syn_to(scene, 81, 5001) == [OTHER]
    scene.server.says(b"200")
    scene.target.says(b"200")
    scene.expect("A")
    scene.client.says(b"GET /2")
    scene.expect("PA GET /2")
    assert scene.ended() == {}


def test_a_removed_transfer_resets_its_sessions_alone(scene):
    scene.establish()
    change(scene, scene.dataplane.config.transfers[0], other(scene))
    syn_to(scene, 81, 5000)
    first, second = scene.dataplane.config.transfers
    change(scene, replace(first, state=TransferState.REMOVED), second)
    scene.expect("RA")
    assert scene.dataplane.is_changed()
    assert scene.ended() == {"transfer_removed": 1}
    assert scene.count("sessions_live") == scene.count("connections_live") == 1
    assert syn_to(scene, 80, 5001) == []
    assert scene.count("drop_mirror_no_transfer") == 1
    assert syn_to(scene, 81, 5002) == [OTHER]


def test_late_answers_of_a_removed_target_are_answered_with_a_reset(open_scene):
    scene = open_scene
    adjust(scene, state=TransferState.REMOVED)
    scene.expect("RA")
    scene.target.says(b"late")
    scene.expect("R")
    assert scene.count("drop_test_no_session") == 1


def test_pause_resets_and_resume_joins_at_the_next_turn(open_scene):
    scene = open_scene
    scene.exchange()
    adjust(scene, state=TransferState.PAUSED)
    scene.expect("RA")
    assert scene.ended() == {"paused": 1}
    scene.client.says(b"GET /while")
    scene.server.says(b"answer")
    scene.expect()
    assert scene.count("drop_mirror_paused") == 1
    adjust(scene, state=TransferState.RUNNING)
    scene.client.says(b"GET /then")
    scene.server.says(b"answer")
    scene.expect()
    scene.client.says(b"GET /now")
    scene.expect("S")
    scene.target.next = scene.target.seen = 0
    scene.target.accept()
    scene.expect("PA GET /now")


def test_after_an_emergency_stop_not_even_a_stray_is_answered(open_scene):
    scene = open_scene
    scene.client.says(b"GET /")
    adjust(scene, state=TransferState.STOPPED)
    assert [segment.flags for segment in scene.sent()] == ["PA", "RA"]
    scene.target.says(b"late")
    scene.client.says(b"GET /2")
    scene.new_client("198.18.0.11", 40001)
    scene.client.shows("S", seq=-1)
    scene.advance(5)
    scene.expect()
    assert scene.ended() == {"stopped": 1}


def test_a_source_with_its_address_comes_before_any_address(scene):
    any_address = scene.dataplane.config.transfers[0]
    named = replace(any_address, source_ip=ip_address("198.18.0.2"), target_ip=ip_address(OTHER))
    change(scene, any_address, named)
    assert syn_to(scene, 80, 5000) == [OTHER]
    change(scene, any_address, replace(named, state=TransferState.PAUSED))
    assert syn_to(scene, 80, 5001) == []
    change(scene, any_address, replace(named, state=TransferState.REMOVED))
    assert syn_to(scene, 80, 5002) == [str(any_address.target_ip)]


def test_a_slot_is_used_again_when_its_resets_have_left(open_scene):
    scene = open_scene
    scene.dataplane.limit(1, 0, 0)  # no room in the TX ring
    adjust(scene, state=TransferState.REMOVED)
    assert scene.dataplane.is_changed()
    with pytest.raises(DataplaneError, match="still being reset") as caught:
        scene.dataplane.change([other(scene, state=TransferState.RUNNING)])
    assert caught.value.errno == errno.EBUSY
    scene.dataplane.limit(1, 0, 4096)
    scene.step()
    scene.expect("RA")
    scene.step()
    change(scene, other(scene, state=TransferState.RUNNING))
    assert syn_to(scene, 81, 5000) == [OTHER]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda _: [], "remove them in place"),
        (lambda first: [replace(first, target_port=1)], "another source or target; remove it first"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(open_scene, wrong, sentence):
    before = open_scene.dataplane.config
    with pytest.raises(DataplaneError, match=sentence):
        open_scene.dataplane.change(wrong(before.transfers[0]))
    assert open_scene.dataplane.config is before
    open_scene.exchange()


def test_changes_come_one_at_a_time(open_scene):
    transfers = open_scene.dataplane.config.transfers
    open_scene.dataplane.change(transfers)
    with pytest.raises(DataplaneError, match="not taken up the change before"):
        open_scene.dataplane.change(transfers)
    open_scene.step()
    open_scene.dataplane.change(transfers)
    open_scene.step()


@pytest.mark.parametrize("workers", [1, 4])
def test_many_sessions_are_reset_some_at_each_turn(make_scene, workers):
    scene = make_scene(limits=MANY, workers=workers)
    count = 4000
    assert len(connect_clients(scene, count)) == count
    change(scene, scene.dataplane.config.transfers[0], other(scene))
    assert len(syn_to(scene, 81, 5000)) == 1
    first, second = scene.dataplane.config.transfers
    scene.dataplane.change([replace(first, state=TransferState.REMOVED), second])
    turns = 0
    while not scene.dataplane.is_changed():
        scene.dataplane.step(scene.now)
        turns += 1
        assert scene.count("sessions_live") >= 1 + count - turns * 128 * workers
    assert turns < 2 + 2 * count // (128 * workers) * 2
    assert scene.count("end_transfer_removed") == count
    assert scene.count("sessions_live") == 1


def test_connections_that_come_and_go_meanwhile_are_not_mixed_up(make_scene):
    scene = make_scene(limits=MANY)
    connect_clients(scene, 2000)
    change(scene, scene.dataplane.config.transfers[0], other(scene))
    first, second = scene.dataplane.config.transfers
    scene.dataplane.change([replace(first, state=TransferState.PAUSED), second])
    opened = 0
    while not scene.dataplane.is_changed():  # each frame is a turn
        opened += len(syn_to(scene, 81, 5000 + opened))
    assert opened > 5
    assert scene.count("end_paused") == 2000
    assert scene.count("sessions_live") == scene.count("connections_live") == opened


@pytest.mark.parametrize("workers", [1, 2])
def test_cap_on_packets_delays_and_loses_nothing(make_scene, workers):
    scene = make_scene(limits=replace(MANY, packets_per_second=200), workers=workers)
    connect_clients(scene, 300)
    seconds = 0
    while (sent := scene.count("sent_syn") - scene.count("retransmits")) < 300:
        before = scene.count("sent_frames")
        scene.advance(1)
        scene.sent()
        seconds += 1
        assert scene.count("sent_frames") - before <= 200 + 4 * workers
    assert sent == 300
    assert seconds >= 1
    assert scene.count("sessions_live") == 300


def test_resets_are_not_held_back_by_the_cap_on_packets(make_scene):
    scene = make_scene(limits=replace(MANY, packets_per_second=1))
    for index in range(20):
        syn_to(scene, 80, 5000 + index)
    scene.advance(100)
    live = scene.count("sessions_live")
    scene.sent()
    adjust(scene, state=TransferState.STOPPED)
    assert scene.count("sessions_live") == 0
    assert live == scene.count("end_stopped")
    assert {segment.flags for segment in scene.sent()} <= {"R", "RA"}
