"""The one route of transfers into an engine, whoever started it: by ``run``, by the service, for captures."""

import errno
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

import pytest
import structlog

from appliance.engine import slots, transfers
from appliance.engine.engine import Engine
from appliance.engine.nic import Hop
from appliance.engine.slots import Wanted, place
from appliance.errors import MachineError, NeighbourError, SlotError
from appliance.service.live import Live
from appliance.service.store import Store
from appliance.settings.loading import build
from dataplane.binding import MAX_TRANSFERS, Capture, DataplaneError, TransferState
from tests.unit.fakes import MAC, FakeMachine

OTHER_MAC = "02:00:00:00:00:99"
TARGET = ip_address("198.19.0.2")
HOPS = {TARGET: Hop(TARGET, MAC)}

pytestmark = pytest.mark.usefixtures("segment")


def configuration(tmp_path, *more):
    first = {"source": 80, "target": "198.19.0.2:8080", "multiplier": 3, "clients": "198.18.7.x"}
    return build(
        {
            "mirror": [{"device": "mirror0"}],
            "test": {"device": "test0"},
            "transfers": [first, *more],
            "limits": {"sessions_per_second": 9},
            "stats": str(tmp_path / "stats"),
        }
    )


@pytest.fixture
def config(tmp_path):
    return configuration(tmp_path)


@contextmanager
def by_run(config, scene):
    with Engine(config, scene.machine) as engine:
        yield engine


@contextmanager
def by_service(config, scene):
    empty = config.model_copy(update={"transfers": ()})
    with Engine(empty, scene.machine) as engine:
        Live(engine, config, Store(config.stats.with_name("state.json")))
        yield engine


@contextmanager
def for_captures(config, scene):
    with Engine(config, scene.machine, Capture(files=("a.pcap",))) as engine:
        yield engine


whoever = pytest.mark.parametrize("started", [by_run, by_service, for_captures])


def told(scene):
    """The transfers of the last change."""
    return scene.changes[-1][0]


@whoever
def test_an_engine_opens_empty_and_is_told_the_same_by_the_same_call(config, started):
    scene = FakeMachine()
    with started(config, scene):
        assert scene.told.transfers == ()
        (one,), cap = scene.changes[-1]
    assert (one.source_port, str(one.target_ip), one.target_port, one.target_mac) == (
        80,
        "198.19.0.2",
        8080,
        MAC,
    )
    assert (one.multiplier, one.pool[0].count, one.state, cap) == (3, 254, TransferState.RUNNING, 9)


@whoever
def test_nothing_is_mirrored_before_workers_are_ready_and_have_the_transfers(config, started):
    scene = FakeMachine()
    with started(config, scene):
        wanted = "resume the capture" if started is for_captures else "endpoints of mirror0: 1"
        ready, change, mirrored = map(scene.events.index, ("start workers", "change to 1 transfers", wanted))
    assert ready < change < mirrored


def test_a_worker_that_does_not_take_up_the_transfers_gets_no_frames(config, monkeypatch):
    monkeypatch.setattr(transfers, "CHANGE_TIMEOUT_S", 0.01)
    scene = FakeMachine()
    scene.follows = False
    with pytest.raises(MachineError, match="does not take up"), Engine(config, scene.machine):
        pytest.fail("it must not start")
    assert "endpoints of mirror0: 1" not in scene.events


@whoever
def test_a_next_hop_that_moves_is_followed_once(config, started):
    scene = FakeMachine()
    with started(config, scene) as engine:
        engine.tick()
        before = len(scene.changes)
        scene.macs = dict.fromkeys(scene.macs, OTHER_MAC)
        engine.tick()
        engine.tick()
    assert len(scene.changes) == before + 1
    assert told(scene)[0].target_mac == OTHER_MAC


@whoever
def test_a_next_hop_that_is_unknown_for_a_while_stays(config, started):
    scene = FakeMachine()
    with started(config, scene) as engine:
        before = len(scene.changes)
        scene.macs = {}
        engine.tick()
    assert len(scene.changes) == before
    assert told(scene)[0].target_mac == MAC


@whoever
def test_a_lost_route_is_logged_once_and_survived(config, started):
    scene = FakeMachine()
    with started(config, scene) as engine, structlog.testing.capture_logs() as logs:
        scene.route_error = NeighbourError("target 198.19.0.2: no route")
        engine.tick()
        engine.tick()
    assert [each["event"] for each in logs if "route" in each["event"]] == ["a target has lost its route"]
    assert told(scene)[0].state is TransferState.RUNNING


def test_a_target_without_a_route_keeps_nobody_from_following_the_others(tmp_path):
    config = configuration(tmp_path, {"source": 81, "target": "198.19.0.3:8080"})
    scene = FakeMachine()
    with by_service(config, scene) as engine:
        assert [one.state for one in told(scene)] == [TransferState.RUNNING, TransferState.PAUSED]
        scene.macs[ip_address("198.19.0.3")] = OTHER_MAC
        engine.tick()
    assert [one.state for one in told(scene)] == [TransferState.RUNNING] * 2


def test_what_a_worker_does_not_take_up_is_tried_again_at_the_next_tick(config, monkeypatch):
    monkeypatch.setattr(transfers, "CHANGE_TIMEOUT_S", 0.01)
    scene = FakeMachine()
    with Engine(config, scene.machine) as engine, structlog.testing.capture_logs() as logs:
        scene.macs = dict.fromkeys(scene.macs, OTHER_MAC)
        scene.follows = False
        engine.tick()
        assert "not in force yet" in logs[-1]["event"]
        scene.follows = True
        engine.tick()
        engine.tick()
    assert [changed[0].target_mac for changed, _ in scene.changes] == [MAC, OTHER_MAC, OTHER_MAC]


def test_a_dataplane_that_is_busy_is_waited_for(config):
    scene = FakeMachine()
    tries = []

    def open_busy(told):
        opened = scene.dataplane(told)
        change = opened.change

        def refuse_twice(*asked):
            tries.append(asked)
            if len(tries) < 3:
                raise DataplaneError(errno.EBUSY, "sessions are still being reset")
            change(*asked)

        opened.change = refuse_twice
        return opened

    with Engine(config, replace(scene.machine, dataplane=open_busy)):
        assert len(tries) == 3
        assert len(scene.changes) == 1


def test_captures_stand_still_at_a_stop_and_while_their_user_pauses_them(config):
    scene = FakeMachine()
    with for_captures(config, scene) as engine:
        (source,) = engine.mirrors
        source.pause(paused=True)
        scene.macs = dict.fromkeys(scene.macs, OTHER_MAC)
        engine.tick()
        assert scene.events[-1] == "pause the capture", "a moved next hop does not wake them"
        source.pause(paused=False)
        assert scene.events[-1] == "resume the capture"
        engine.stop()
        assert scene.events[-2:] == ["pause the capture", "stop workers"]


def test_captures_touch_no_mirror_device(config):
    scene = FakeMachine()
    with for_captures(config, scene) as engine:
        assert engine.reports()[0].line == "mirror port: 1 capture file"
        assert [port.device for port in engine.accounts()] == ["captures", "test0"]
    assert not [event for event in scene.events if "mirror0" in event]


class TestSlots:
    """Where transfers are, over changes of a configuration."""

    def config(self, count, first=1000):
        ports = range(first, first + count)
        return build(
            {
                "mirror": [{"device": "mirror0"}],
                "test": {"device": "test0"},
                "transfers": [{"source": port, "target": "198.19.0.2:8080"} for port in ports],
            }
        )

    def put(self, before, config, names=None):
        named = names or [str(one.source) for one in config.transfers]
        wanted = [Wanted(*pair) for pair in zip(named, config.transfers, strict=True)]
        return place(before, config, wanted, HOPS)

    def test_a_transfer_keeps_its_slot_while_others_come_and_go(self):
        three = self.put((), self.config(3))
        one = self.put(three, self.config(1, first=1002))
        assert [slot.told.state.name for slot in one] == ["REMOVED", "REMOVED", "RUNNING"]
        assert one[2].owner == three[2].owner

    def test_a_slot_is_not_used_again_while_a_fresh_one_is_left(self):
        gone = self.put(self.put((), self.config(2)), self.config(0))
        again = self.put(gone, self.config(1, first=2000))
        assert [slot.told.state.name for slot in again] == ["REMOVED", "REMOVED", "RUNNING"]

    def test_a_slot_is_not_used_again_in_the_change_that_removes_its_transfer(self):
        full = self.put((), self.config(MAX_TRANSFERS))
        moved = self.config(MAX_TRANSFERS, first=1001)  # one removed, one new
        with pytest.raises(SlotError, match=f"all {MAX_TRANSFERS} slots"):
            self.put(full, moved)
        fewer = self.put(full, self.config(MAX_TRANSFERS - 1, first=1001))
        assert self.put(fewer, moved)[0].told.state is TransferState.RUNNING

    def test_another_name_is_another_transfer(self):
        first = self.put((), self.config(1), ["a"])
        assert len(self.put(first, self.config(1), ["b"])) == 2


def towards(config, port):
    """The same, to another port of the target."""
    one = config.transfers[0]
    moved = one.model_copy(update={"target": replace(one.target, port=port)})
    return config.model_copy(update={"transfers": (moved,)})


def test_late_answers_of_a_target_end_here_when_its_slot_is_used_again(config, monkeypatch):
    monkeypatch.setattr(slots, "MAX_TRANSFERS", 1)
    other = towards(config, 9090)
    scene = FakeMachine()
    with Engine(config, scene.machine) as engine:
        engine.transfers.apply(config, ())
        del scene.events[:]
        engine.transfers.apply(other, transfers.named(other))
        assert [port for _, port, _ in scene.steerings[1].endpoints] == [8080, 9090]
        assert scene.events == ["endpoints of test0: 2", "change to 1 transfers", "endpoints of mirror0: 1"]


def test_no_more_targets_are_remembered_than_a_port_takes(config, monkeypatch):
    monkeypatch.setattr(transfers, "MOST_TARGETS", 3)
    scene = FakeMachine()
    with Engine(config, scene.machine) as engine:
        for port in range(9000, 9005):
            other = towards(config, port)
            engine.transfers.apply(other, transfers.named(other))
        assert [port for _, port, _ in scene.steerings[1].endpoints] == [9002, 9003, 9004]


def test_a_change_is_confirmed_when_targets_have_let_go(config):
    scene = FakeMachine()
    with by_run(config, scene) as engine:
        scene.unconfirmed = [7, 2, 0]
        assert engine.transfers.confirm() == 0
        assert scene.unconfirmed == []


def test_what_is_not_confirmed_in_time_is_told(config, monkeypatch):
    monkeypatch.setattr(transfers, "CONFIRM_TIMEOUT_S", 0)
    scene = FakeMachine()
    with by_run(config, scene) as engine:
        scene.unconfirmed = [3]
        assert engine.transfers.confirm() == 3
