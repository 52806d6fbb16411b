"""A machine for the engine that is made of Python alone, and writes down what happens to it, in order."""

from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

from appliance.engine.machine import Machine
from appliance.engine.nic import Hop, Look, Neighbours
from appliance.errors import NeighbourError
from dataplane.binding import COUNTERS, PortMode, PortRole, PortStatistics
from dataplane.pyxdp import AttachMode, Capabilities, Queues
from dataplane.steering import Maps

MAC = "02:00:00:00:00:02"
NOTHING = {counter.name: 0 for counter in COUNTERS}


def capabilities(device, **changes):
    known = {
        "ifindex": 1,
        "driver": "veth",
        "bus": "",
        "mac": "02:00:00:00:00:01",
        "mtu": 1500,
        "up": True,
        "queues": Queues(0, 1, 1, 0, 1, 1),
        "native": True,
        "zero_copy": False,
        "zero_copy_segments": None,
        "tx_checksum": False,
        "splits": False,
        "native_mtu": 3506,
        "socket_mtu": 3498,
        "near_cpus": (),
        "rss": None,
        "notes": (),
    }
    return Capabilities(device=device, **{**known, **changes})


class FakeSteering:
    def __init__(self, scene, role, device, endpoints):
        self.scene, self.device, self.endpoints = scene, device, endpoints
        number = len(scene.steerings)
        self.maps = Maps(number + 10, number + 20 if role is PortRole.MIRROR else 0)
        self.mode, self.refusal = AttachMode.NATIVE, ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scene.did(f"detach {self.device}")

    def replace_endpoints(self, endpoints):
        self.endpoints = tuple(endpoints)
        self.scene.did(f"endpoints of {self.device}: {len(self.endpoints)}")

    def counts(self):
        return {"redirected": self.scene.redirected.get(self.device, 0)}


class FakeDataplane:
    def __init__(self, scene, config):
        self.scene, self.config = scene, config

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.scene.did("close dataplane")

    def start(self):
        self.scene.did("start workers")
        self.scene.write_segment()

    def stop(self, timeout):
        assert timeout <= 1.0
        self.scene.did("stop workers")

    def step(self, now):
        assert now > 0
        self.scene.steps += 1
        self.scene.counters["mirror_frames"] = self.scene.counters["mirror_accepted"] = min(
            self.scene.steps, self.scene.redirected.get("mirror0", 0)
        )

    def counters(self):
        return dict(self.scene.counters)

    def modes(self):
        return [[PortMode.COPY] * port.queues for port in self.config.ports]

    def huge_pages(self):
        return [0 for _ in self.config.ports]

    def port_statistics(self, port, queue):
        assert queue < self.config.ports[port].queues
        return PortStatistics(0, 0, 0, 0, 0, 0)

    def change(self, transfers, sessions_per_second):
        self.scene.did(f"change to {len(transfers)} transfers")
        self.scene.changes.append((list(transfers), sessions_per_second))

    def is_changed(self):
        return self.scene.follows

    def unconfirmed(self):
        return self.scene.unconfirmed.pop(0) if self.scene.unconfirmed else 0

    def pause_capture(self):
        self.scene.did("pause the capture")

    def resume_capture(self):
        self.scene.did("resume the capture")


class FakeNeighbours(Neighbours):
    """``late_macs`` of the scene are known to those who wait for them."""

    def __init__(self, scene):
        self.scene = scene

    def wait(self, targets, timeout_s=0.0):  # noqa: ARG002
        late = self.scene.late_macs
        self.scene.macs |= {target: late[target] for target in targets if target in late}
        found = self.lookup(targets)
        silent = {
            target: NeighbourError(f"target {target} does not answer")
            for target in targets
            if not found.is_over([target])
        }
        return Look(found.hops, {**found.problems, **silent})

    def lookup(self, targets):
        if self.scene.route_error:
            return Look({}, dict.fromkeys(targets, self.scene.route_error))
        macs = self.scene.macs
        return Look({target: Hop(target, macs[target]) for target in targets if target in macs}, {})


class FakeMachine:
    """``machine`` for the engine; ``fail_at`` names the event at which it raises RuntimeError."""

    def __init__(self, fail_at=""):
        self.events: list[str] = []
        self.fail_at = fail_at
        self.facts: dict[str, Capabilities] = {}
        self.macs = {ip_address("198.19.0.2"): MAC, ip_address("fd00::2"): MAC}
        self.late_macs: dict[object, str] = {}  # known to those who wait for them
        self.route_error: NeighbourError | None = None
        self.forwarding: list[str] = []
        self.steerings: list[FakeSteering] = []
        self.redirected: dict[str, int] = {}
        self.counters = dict(NOTHING)
        self.kept_to: list[Any] = []
        self.steps = 0
        self.told: Any = None
        self.unconfirmed: list[int] = []  # what the dataplane says next
        self.changes: list[Any] = []
        self.follows = True  # workers take up changes
        self.write_segment = lambda: None
        self.machine = Machine(
            capabilities=lambda device: self.facts.get(device) or capabilities(device),
            cpus=lambda: {0, 1},
            kept_to=self.keep_to,
            forwards=lambda _device: self.forwarding,
            silent=self.silent,
            symmetric=self.symmetric,
            busy_polling=self.busy_polling,
            neighbours=self.neighbours,
            steering=self.steering,
            dataplane=self.dataplane,
        )

    def did(self, event):
        self.events.append(event)
        if event == self.fail_at:
            raise RuntimeError(event)

    @contextmanager
    def symmetric(self, device):
        self.did(f"symmetric {device}")
        yield True

    @contextmanager
    def busy_polling(self, device):
        self.did(f"busy polling on {device}")
        try:
            yield
        finally:
            self.did(f"interrupts on {device}")

    @contextmanager
    def silent(self, device):
        self.did(f"silence {device}")
        try:
            yield
        finally:
            self.did(f"restore {device}")

    @contextmanager
    def keep_to(self, cpus):
        self.kept_to.append(cpus)
        yield

    def neighbours(self, device):
        self.did(f"neighbours of {device}")
        return FakeNeighbours(self)

    def steering(self, role, device, endpoints, _mode, _unwanted, *, fragments):  # noqa: ARG002
        self.did(f"attach {device}")
        self.steerings.append(FakeSteering(self, role, device, endpoints))
        return self.steerings[-1]

    def dataplane(self, config):
        self.told = config
        self.did("open dataplane")
        return FakeDataplane(self, config)
