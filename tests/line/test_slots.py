"""The slot of a removed transfer is used again: nothing of the one before is left in it."""

from dataclasses import replace

from dataplane.binding import TransferState
from tests.line.scene import TEST
from tests.line.test_live import OTHER, adjust, change, other, syn_to


def counted(scene):
    """What has been counted for the transfer, without zeros."""
    return {name: value for name, value in scene.dataplane.segment().transfer(0).items() if value}


def test_what_the_target_before_is_owed_does_not_go_to_the_next(open_scene):
    scene = open_scene
    adjust(scene, state=TransferState.REMOVED)
    scene.expect("RA")
    scene.step()
    scene.dataplane.limit(TEST, 0, 0)  # no room in the TX ring
    scene.target.says(b"late")
    assert scene.count("drop_test_no_session") == 1
    change(scene, other(scene, state=TransferState.RUNNING))
    scene.dataplane.limit(TEST, 0, 4096)
    scene.step()
    scene.expect()
    assert scene.count("refused_destination") == 0


def test_its_counters_begin_at_zero(open_scene):
    scene = open_scene
    scene.exchange()
    before = scene.count("sent_frames")
    adjust(scene, state=TransferState.REMOVED)
    scene.expect("RA")
    scene.step()
    change(scene, other(scene, state=TransferState.RUNNING))
    assert counted(scene) == {}
    assert syn_to(scene, 81, 5000) == [OTHER]
    assert counted(scene)["sent_frames"] == 1
    assert scene.count("sent_frames") == before + 2  # the whole goes on


def test_a_transfer_that_is_paused_and_resumed_keeps_its_counters(open_scene):
    scene = open_scene
    before = counted(scene)["sent_frames"]
    for state in (TransferState.PAUSED, TransferState.RUNNING):
        change(scene, replace(scene.dataplane.config.transfers[0], state=state))
    assert counted(scene)["sent_frames"] == before + 1
