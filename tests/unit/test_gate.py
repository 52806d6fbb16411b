"""The last gate: an engine does not replay where the kernel would pass answers on."""

from dataclasses import replace

import pytest
import structlog

from appliance.engine.engine import Engine
from appliance.errors import DeviceError
from appliance.settings.config import Config
from appliance.settings.safety import Forwarding, Safety
from dataplane.binding import TransferState
from tests.unit.fakes import FakeMachine

pytestmark = pytest.mark.usefixtures("segment")

IPV4 = "net/ipv4/conf/test0/forwarding"
IPV6 = "net/ipv6/conf/all/forwarding"


@pytest.fixture
def config(tmp_path):
    return Config.model_validate(
        {
            "mirror": [{"device": "mirror0"}],
            "test": {"device": "test0"},
            "transfers": [{"source": "80", "target": "198.19.0.2:8080"}],
            "stats": str(tmp_path / "stats"),
        }
    )


@pytest.fixture
def scene():
    return FakeMachine()


def allowing(config):
    return config.model_copy(update={"safety": Safety(forwarding=Forwarding.ALLOW)})


def bridged(machine):
    return replace(machine, master=lambda _device: "br0")


@pytest.mark.parametrize("ways", [[IPV4], [IPV6], [IPV4, IPV6]])
def test_where_the_kernel_forwards_the_engine_refuses_and_touches_nothing(config, scene, ways):
    scene.forwarding = ways
    with pytest.raises(DeviceError) as refusal, Engine(config, scene.machine):
        pytest.fail("it started")
    assert scene.events == []
    assert "safety.forwarding" in str(refusal.value)
    assert [f"{way} is on" in str(refusal.value) for way in ways] == [True] * len(ways)
    assert [f"sysctl -w {way}=0" in str(refusal.value) for way in ways] == [True] * len(ways)


def test_a_port_of_a_bridge_is_refused(config, scene):
    cure = "ip link set test0 nomaster"
    with pytest.raises(DeviceError, match=cure), Engine(config, bridged(scene.machine)):
        pytest.fail("it started")
    assert scene.events == []


def test_who_allows_it_is_warned(config, scene):
    scene.forwarding = [IPV4]
    with structlog.testing.capture_logs() as logs, Engine(allowing(config), scene.machine) as engine:
        engine.tick()
        assert engine.transfers.held is False
    assert [(log["log_level"], log["cure"]) for log in logs] == [("warning", f"sysctl -w {IPV4}=0")]


def test_forwarding_switched_on_meanwhile_holds_the_replay_until_it_is_off(config, scene):
    def states():
        return [one.state for one in scene.changes[-1][0]]

    with structlog.testing.capture_logs() as logs, Engine(config, scene.machine) as engine:
        scene.forwarding = [IPV4]
        engine.tick()
        engine.tick()
        assert states() == [TransferState.PAUSED]
        assert "detach test0" not in scene.events  # the black hole stays
        scene.forwarding = []
        engine.tick()
        assert states() == [TransferState.RUNNING]
    assert [log["log_level"] for log in logs] == ["error", "info"]
    assert (logs[0]["why"], logs[0]["cure"]) == (f"{IPV4} is on", f"sysctl -w {IPV4}=0")
