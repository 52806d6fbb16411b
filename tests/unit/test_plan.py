from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum

import pytest

from appliance.engine import plan
from appliance.errors import ApplianceError, ConfigError, DeviceError
from appliance.settings.limits import Limits
from appliance.settings.loading import build
from appliance.settings.model import Model
from appliance.settings.timing import Timing
from dataplane import binding
from dataplane.binding import PortMode
from dataplane.pyxdp import AttachMode, Queues
from dataplane.pyxdp.rss import Fields, Rss, Symmetry
from dataplane.steering import Maps
from tests.unit.fakes import capabilities

CPUS = [0, 1, 2, 3]


def config(mirror=None, test=None, **changes):
    return build(
        {
            "mirror": [{"device": "m0", **(mirror or {})}],
            "test": {"device": "t0", **(test or {})},
            "transfers": [{"source": 80, "target": "198.19.0.2:8080"}],
            **changes,
        }
    )


def facts(mirror=None, test=None):
    return {"m0": capabilities("m0", **(mirror or {})), "t0": capabilities("t0", **(test or {}))}


def devices(made):
    return (*made.mirrors, made.test)


def dataplane(made):
    told = [port.dataplane(Maps(number)) for number, port in enumerate(devices(made), 10)]
    return plan.dataplane(made, told, 0)


def combined(count):
    return {"queues": Queues(count, 0, 0, 8, 0, 0)}


@pytest.mark.parametrize(
    ("queues", "settings", "workers", "cpus"),
    [
        (1, {}, 1, (3,)),
        (2, {}, 2, (2, 3)),
        (8, {}, 4, (0, 1, 2, 3)),
        (8, {"workers": 8}, 8, ()),
        (4, {"workers": 2}, 2, (2, 3)),
        (4, {"cpus": "none"}, 4, ()),
        (4, {"cpus": [1, 3]}, 2, (1, 3)),
        (1, {"cpus": [1, 3]}, 1, (1,)),
    ],
)
def test_workers_follow_queues_and_cpus(queues, settings, workers, cpus):
    made = plan.make(config(**settings), facts(test=combined(queues)), CPUS)
    assert (made.workers, made.cpus) == (workers, cpus)


@pytest.mark.parametrize(
    ("near", "cpus", "control", "warnings"),
    [
        ((), (2, 3), (0, 1), 0),
        ((0, 1), (0, 1), (2, 3), 0),
        ((1,), (1, 3), (0, 2), 1),
    ],
)
def test_workers_are_near_the_test_port_and_the_control_process_elsewhere(near, cpus, control, warnings):
    both = {"mirror": {"near_cpus": near}, "test": {"near_cpus": near, **combined(2)}}
    made = plan.make(config(), facts(**both), CPUS)
    assert (made.cpus, made.control_cpus) == (cpus, control)
    assert len(made.warnings) == warnings


def rss(*table):
    return Rss(table, bytes(40), Symmetry.PLAIN, ((Fields(3), Fields(3)), (Fields(1), Fields(1))))


@pytest.mark.parametrize(
    ("known", "settings", "used"),
    [
        (rss(0, 1, 2, 3), {}, True),
        (rss(0, 1, 2, 3), {"workers": 1}, False),  # nothing to choose
        (rss(0, 1, 2, 3), {"test": {"queues": 2}}, False),  # some answers come to queues that are not served
        (None, {}, False),
    ],
)
def test_the_spread_of_answers_reaches_the_dataplane_where_it_is_of_use(known, settings, used):
    made = plan.make(config(**settings), facts(test={"rss": known, **combined(4)}), CPUS)
    told = dataplane(made).rss
    assert (told.table, len(told.key)) == (((0, 1, 2, 3), 40) if used else ((), 0))


def test_ports_on_two_nodes_are_warned_about():
    made = plan.make(config(), facts({"near_cpus": (0, 1)}, {"near_cpus": (2, 3)}), CPUS)
    assert made.warnings == ("m0 is on another NUMA node than t0; a slot of the same node is faster",)


def test_the_control_process_stays_where_it_is_if_every_cpu_has_a_worker():
    assert plan.make(config(), facts(test=combined(4)), CPUS).control_cpus == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("settings", "machine", "error", "sentence"),
    [
        ({"workers": 2}, {}, ConfigError, "workers: 2 workers for 1 queues of t0"),
        ({"cpus": [9]}, {}, ConfigError, "CPU 9 is not available to this process; it may use 0, 1, 2, 3"),
        ({"mirror": {"queues": 2}}, {}, ConfigError, "queues: m0 has 1 in use, not 2; ethtool -L m0 changes"),
        ({"mirror": {"mode": "zerocopy"}}, {}, DeviceError, "m0: its driver veth has no zero-copy"),
        ({}, {"mirror": {"up": False}}, DeviceError, "m0 is down; bring it up: ip link set m0 up"),
        (
            {},
            {"test": {"mtu": 9000}},
            DeviceError,
            "t0 has MTU 9000, more than a socket's buffers hold with its driver veth; ip link",
        ),
        (
            {},
            {"test": {"mtu": 9217, "splits": True}},
            DeviceError,
            "t0 has MTU 9217, more than a socket's buffers hold with its driver veth; ip link set t0 mtu",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_a_cure(settings, machine, error, sentence):
    with pytest.raises(error) as caught:
        plan.make(config(**settings), facts(**machine), CPUS)
    assert sentence in str(caught.value)
    assert isinstance(caught.value, ApplianceError)


def test_queues_that_are_not_served_are_warned_about():
    made = plan.make(config(mirror={"queues": 1}), facts(mirror=combined(4)), CPUS)
    assert made.warnings == ("m0: only 1 of its 4 queues are served; frames of the others are dropped",)


@pytest.mark.parametrize(
    ("mode", "attach", "bind"),
    [
        ("auto", AttachMode.AUTO, PortMode.AUTO),
        ("zerocopy", AttachMode.NATIVE, PortMode.ZEROCOPY),
        ("copy", AttachMode.AUTO, PortMode.COPY),
        ("generic", AttachMode.GENERIC, PortMode.COPY),
    ],
)
def test_a_mode_says_how_to_attach_and_how_to_bind(mode, attach, bind):
    made = plan.make(config(mirror={"mode": mode}), facts(mirror={"zero_copy": True}), CPUS)
    told = dataplane(made)
    assert devices(made)[0].attach is attach
    assert told.ports[0].xsk.mode is bind


def test_only_mirror_ports_pass_unwanted_frames_on_request():
    made = plan.make(config(mirror={"unwanted": "pass"}), facts(), CPUS)
    assert [port.unwanted for port in devices(made)] == ["pass", "drop"]


def test_times_become_nanoseconds():
    made = plan.make(
        config(timing={"settle_ms": 2.5, "gap_timeout_s": 0.5, "datagram_timeout_s": 7, "tries": 3}),
        facts(),
        CPUS,
    )
    timing = dataplane(made).timing
    assert (timing.settle, timing.gap_timeout, timing.tries) == (2_500_000, 500_000_000, 3)
    assert timing.datagram_timeout == 7_000_000_000


class Written(StrEnum):
    SLOW = "slow"


class Numbered(IntEnum):
    FAST = 0
    SLOW = 1


class Settings(Model):
    pace: Written = Written.SLOW
    wait_ms: float = 1.5
    mss: int | None = None
    label: str = "mine"


@dataclass(frozen=True)
class Told:
    pace: Numbered = Numbered.FAST
    wait: int = 0
    mss: int = 0


def test_settings_reach_the_dataplane_by_their_name():
    assert Told(**plan.alike(Settings(), Told)) == Told(Numbered.SLOW, 1_500_000, 0)


@pytest.mark.parametrize(("settings", "told"), [(Timing, binding.Timing), (Limits, binding.Limits)])
def test_every_time_and_limit_has_its_name_in_the_dataplane(settings, told):
    """What has another would keep the default there."""
    plain = {name.removesuffix("_ms").removesuffix("_s") for name in settings.model_fields}
    assert plain == {each.name for each in fields(told)}


@pytest.mark.parametrize(
    ("mtu", "splits", "fragments"), [(3498, True, False), (9000, True, True), (3498, False, False)]
)
def test_frames_in_several_buffers_are_asked_for_where_the_mtu_needs_them(mtu, splits, fragments):
    made = plan.make(config(), facts(mirror={"mtu": mtu, "splits": splits}), CPUS)
    assert [port.facts.split for port in devices(made)] == [fragments, False]
    told = dataplane(made)
    assert [port.xsk.fragments for port in told.ports] == [fragments, False]
