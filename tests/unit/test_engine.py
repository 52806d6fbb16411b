import time
from pathlib import Path

import pytest
import structlog

from appliance.engine import engine as engine_module
from appliance.engine import stats
from appliance.engine.engine import Engine
from appliance.errors import DeviceError, MachineError, NeighbourError
from appliance.settings.loading import build
from dataplane.binding import PortMode, PortRole, Transport
from dataplane.pyxdp import Queues
from tests.unit.fakes import FakeMachine, capabilities

STARTED = [
    "neighbours of test0",
    "silence mirror0",
    "attach mirror0",
    "attach test0",
    "open dataplane",
    "start workers",
    "endpoints of test0: 1",
    "change to 1 transfers",
    "endpoints of mirror0: 1",
]
UNDONE = [
    "close dataplane",
    "detach test0",
    "detach mirror0",
    "restore mirror0",
]


@pytest.fixture
def config(tmp_path):
    return build(
        {
            "mirror": [{"device": "mirror0"}],
            "test": {"device": "test0"},
            "transfers": [{"source": 80, "target": "198.19.0.2:8080"}],
            "stats": str(tmp_path / "stats"),
        }
    )


pytestmark = pytest.mark.usefixtures("segment")


def test_it_starts_in_order_and_is_undone_in_reverse(config):
    scene = FakeMachine()
    with Engine(config, scene.machine) as engine:
        assert scene.events == STARTED
        engine.stop()
        del scene.events[: len(STARTED)]
    assert scene.events == ["endpoints of mirror0: 0", "stop workers", *UNDONE]


def test_leaving_the_block_stops(config):
    scene = FakeMachine()
    with Engine(config, scene.machine) as engine:
        pass
    assert scene.events[len(STARTED) :] == ["endpoints of mirror0: 0", "stop workers", *UNDONE]
    assert engine.ledger["closes"]


@pytest.mark.parametrize("event", STARTED)
def test_a_failure_on_the_way_undoes_what_was_done(config, event):
    scene = FakeMachine(fail_at=event)
    with pytest.raises(RuntimeError, match=event), Engine(config, scene.machine):
        pytest.fail("it must not start")
    done = STARTED.index(event)
    undo_of = dict(zip(STARTED, ["", *reversed(UNDONE)], strict=False))
    undone = scene.events[done + 1 :]
    expected = [undo_of[each] for each in reversed(STARTED[:done]) if undo_of.get(each)]
    assert undone == expected


def test_a_failing_stop_still_undoes_everything(config):
    scene = FakeMachine(fail_at="stop workers")
    with pytest.raises(RuntimeError, match="stop workers"), Engine(config, scene.machine):
        pass
    assert scene.events[-len(UNDONE) :] == UNDONE


def test_an_exception_inside_stops_and_undoes(config):
    scene = FakeMachine()
    with pytest.raises(KeyError), Engine(config, scene.machine):
        raise KeyError
    assert scene.events[-len(UNDONE) :] == UNDONE


def test_nothing_is_changed_if_the_target_does_not_resolve(config):
    scene = FakeMachine()
    scene.route_error = NeighbourError("target 198.19.0.2: no route")
    with pytest.raises(NeighbourError), Engine(config, scene.machine):
        pytest.fail("it must not start")
    assert scene.events == ["neighbours of test0"]


def test_nothing_is_touched_if_a_device_is_unsuitable(config):
    scene = FakeMachine()
    scene.facts["test0"] = capabilities("test0", up=False)
    with pytest.raises(DeviceError, match="test0 is down; bring it up: ip link set test0 up"):
        Engine(config, scene.machine).__enter__()
    assert scene.events == []


def test_two_engines_do_not_share_a_stats_file(config):
    with (
        Engine(config, FakeMachine().machine),
        pytest.raises(MachineError, match="another engine writes its counters to"),
        Engine(config, FakeMachine().machine),
    ):
        pytest.fail("it must not start")
    with Engine(config, FakeMachine().machine):
        pass


def test_the_dataplane_is_told_what_the_configuration_says(config):
    scene = FakeMachine()
    scene.facts["test0"] = capabilities("test0", queues=Queues(4, 0, 0, 4, 0, 0), mtu=3000)
    with Engine(config, scene.machine):
        told = scene.told
    mirror, test = told.ports
    assert (mirror.role, mirror.device, mirror.queues) == (PortRole.MIRROR, "mirror0", 1)
    assert (mirror.xsk.sockets_map, mirror.shed_map) == (10, 20)
    assert (test.role, test.device, test.queues, test.xsk.sockets_map) == (PortRole.TEST, "test0", 4, 11)
    assert (test.mtu, test.mac, test.xsk.mode) == (3000, "02:00:00:00:00:01", PortMode.AUTO)
    assert (told.workers, told.cpus) == (2, (0, 1))
    assert told.transfers == ()
    assert abs(told.clock_offset + time.monotonic_ns() - time.time_ns()) < 1e9
    assert told.stats_path == str(config.stats)


def test_programs_get_the_endpoints_of_their_side(config):
    scene = FakeMachine()
    with Engine(config, scene.machine):
        mirror, test = (each.endpoints for each in scene.steerings)
        assert set(mirror) == {(None, 80, Transport.TCP)}
        assert [(str(address), *rest) for address, *rest in test] == [("198.19.0.2", 8080, Transport.TCP)]


def test_reports_say_what_was_obtained(config):
    with Engine(config, FakeMachine().machine) as engine:
        mirror, test = engine.reports()
    assert (mirror.device, mirror.driver, mirror.xdp, mirror.queues) == (
        "mirror0",
        "veth",
        "native",
        (PortMode.COPY,),
    )
    assert test.role is PortRole.TEST


class TestTick:
    def test_a_worker_that_hangs_is_logged(self, config, monkeypatch):
        with Engine(config, FakeMachine().machine) as engine, structlog.testing.capture_logs() as logs:
            engine.tick()
            assert logs == []
            monkeypatch.setattr(stats, "STALE_S", 0.0)
            engine.tick()
        assert logs[0]["event"] == "a worker gives no sign of life"


class TestLedger:
    def test_frames_that_sockets_still_hold_are_read_before_it_is_made(self, config):
        scene = FakeMachine()
        scene.redirected = {"mirror0": 5}
        with Engine(config, scene.machine) as engine:
            ledger = engine.stop()
        assert ledger["closes"]
        assert scene.steps == 5

    def test_frames_that_vanished_are_waited_for_and_then_shown(self, config, monkeypatch):
        monkeypatch.setattr(engine_module, "SETTLE_TIMEOUT_S", 0.02)
        scene = FakeMachine()
        scene.redirected = {"mirror0": 5, "test0": 1}
        with Engine(config, scene.machine) as engine:
            ledger = engine.stop()
        assert not ledger["closes"]
        assert not ledger["equations"]["test_xdp"]["closes"]

    def test_it_is_made_once(self, config):
        with Engine(config, FakeMachine().machine) as engine:
            assert engine.stop() is engine.stop()


def test_forwarding_kernels_are_warned_about(config):
    scene = FakeMachine()
    scene.forwarding = ["net/ipv4/conf/test0/forwarding"]
    with structlog.testing.capture_logs() as logs, Engine(config, scene.machine):
        pass
    assert logs[0]["cure"] == "sysctl -w net/ipv4/conf/test0/forwarding=0"


def test_the_stats_folder_is_made(config, tmp_path):
    path = tmp_path / "deep" / "er" / "stats"
    moved = config.model_copy(update={"stats": path})
    with pytest.raises(MachineError, match="no engine writes"), Engine(moved, FakeMachine().machine):
        pytest.fail("the fake dataplane writes no segment")
    assert Path(path.parent).is_dir()


def test_busy_polling_is_set_up_before_the_sockets_and_undone_after_them(config):
    scene = FakeMachine()
    test = config.test.model_copy(update={"busy_poll": True})
    with Engine(config.model_copy(update={"test": test}), scene.machine) as engine:
        assert [port.xsk.busy_poll for port in scene.told.ports] == [False, True]
        assert ["busy polling" in port.line for port in engine.reports()] == [False, True]
    began, bound, closed, ended = map(
        scene.events.index,
        ("busy polling on test0", "open dataplane", "close dataplane", "interrupts on test0"),
    )
    assert began < bound < closed < ended


def test_the_control_process_keeps_off_the_workers_cpus(config):
    scene = FakeMachine()
    with Engine(config, scene.machine) as engine:
        assert engine.plan.cpus == (1,)
        assert scene.kept_to == [(0,)]
