"""The ports of an engine: a device with AF_XDP, or capture files in place of one.

All that only one kind of port has, XDP programs, RSS or the kernel's neighbours, stays behind ``Port``.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Protocol

import structlog

from appliance.engine.ledger import PortAccount
from appliance.engine.plan import CapturePlan
from dataplane.binding import PortMode, PortRole, Transport

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import ExitStack

    from appliance.engine.hops import Resolver
    from appliance.engine.machine import Machine
    from appliance.engine.plan import DevicePlan, Plan
    from dataplane import binding
    from dataplane.binding import CaptureProgress, Dataplane
    from dataplane.steering import Steering

log = structlog.get_logger()

Endpoint = tuple[IPv4Address | IPv6Address | None, int, Transport]


@dataclass(frozen=True)
class PortReport:
    """What a port obtained. ``line`` says it in the report at the start."""

    role: PortRole
    line: str
    queues: tuple[PortMode, ...]
    device: str = ""
    driver: str = ""
    mtu: int = 0
    xdp: str = ""  # how its program is attached, and why not natively if that was tried
    refusal: str = ""


class Port(Protocol):
    """One port: ``open``, then ``opened``, then the rest, until the stack of ``open`` is unwound."""

    def open(self, undo: ExitStack) -> binding.Port:
        """Prepares it, wanting nothing yet; ``undo`` restores all. What the dataplane is to open."""

    def opened(self, dataplane: Dataplane, index: int) -> None:
        """The dataplane has opened it, as its port of this index."""

    def want(self, endpoints: Collection[Endpoint]) -> None:
        """From now on frames of these endpoints reach the dataplane, and no others."""

    def report(self) -> PortReport:
        """What was obtained."""

    def account(self) -> PortAccount:
        """What it has counted."""


class TargetsPort(Port, Protocol):
    """The test port."""

    def resolver(self) -> Resolver:
        """Who finds next hops on it. Asked before ``open``: without them nothing is changed."""


class AfXdpPort:
    """A network device: an XDP program steers frames to AF_XDP sockets; the kernel knows the neighbours."""

    def __init__(self, plan: DevicePlan, machine: Machine) -> None:
        self._plan = plan
        self._machine = machine
        self._device = plan.settings.device
        self._steering: Steering
        self._dataplane: Dataplane
        self._index: int

    def resolver(self) -> Resolver:
        """Next hops as the kernel has them."""
        return self._machine.neighbours(self._device)

    def open(self, undo: ExitStack) -> binding.Port:
        """Attaches the program before there are sockets: some drivers bind only with one attached."""
        plan, machine = self._plan, self._machine
        if plan.role is PortRole.MIRROR:
            undo.enter_context(machine.silent(self._device))
            if plan.queues > 1:
                obtained = undo.enter_context(machine.symmetric(self._device))
                log.info("RSS of a mirror port", device=self._device, symmetric=obtained)
        if plan.settings.busy_poll:
            undo.enter_context(machine.busy_polling(self._device))
        self._steering = undo.enter_context(
            machine.steering(
                plan.role, self._device, (), plan.attach, plan.unwanted, fragments=plan.facts.split
            )
        )
        return plan.dataplane(self._steering.maps)

    def opened(self, dataplane: Dataplane, index: int) -> None:
        """Its sockets are bound."""
        self._dataplane, self._index = dataplane, index

    def want(self, endpoints: Collection[Endpoint]) -> None:
        """The program gives their frames to the sockets."""
        self._steering.replace_endpoints(endpoints)

    def report(self) -> PortReport:
        """Driver, mode of the program, and mode of each queue's socket."""
        plan, program = self._plan, self._steering
        queues = tuple(self._dataplane.modes()[self._index])
        modes = ", ".join(mode.name.lower() for mode in queues)
        why = f" ({program.refusal})" if program.refusal else ""
        return PortReport(
            role=plan.role,
            line=f"{plan.role.name.lower()} port {self._device}: driver {plan.facts.driver or 'unknown'},"
            f" XDP {program.mode.value}{why}, socket of each queue: {modes}; {self._ways()}",
            queues=queues,
            device=self._device,
            driver=plan.facts.driver,
            mtu=plan.facts.mtu,
            xdp=str(program.mode.value),
            refusal=program.refusal or "",
        )

    def account(self) -> PortAccount:
        """What its program and its sockets counted."""
        queues = range(self._plan.queues)
        return PortAccount(
            device=self._device,
            role=self._plan.role,
            xdp=self._steering.counts(),
            sockets=[self._dataplane.port_statistics(self._index, queue) for queue in queues],
        )

    def _ways(self) -> str:
        """How its sockets are driven, and where their buffers lie."""
        huge, queues = self._dataplane.huge_pages()[self._index], self._plan.queues
        if huge == queues:
            buffers = "buffers on huge pages"
        elif huge:
            buffers = f"buffers of {huge} queues on huge pages, of the others on normal ones"
        else:
            buffers = "buffers on normal pages"
        return f"busy polling, {buffers}" if self._plan.settings.busy_poll else buffers


class CapturePort:
    """Capture files in place of mirror devices. They stand still while nothing is wanted."""

    def __init__(self, plan: CapturePlan) -> None:
        self._plan = plan
        self._dataplane: Dataplane
        self._wanted = False
        self._paused = False

    def open(self, undo: ExitStack) -> binding.Port:  # noqa: ARG002 - nothing of the machine is changed
        """The dataplane reads the files."""
        return self._plan.dataplane()

    def opened(self, dataplane: Dataplane, index: int) -> None:  # noqa: ARG002 - there is one capture port
        """Its clock does not run yet."""
        self._dataplane = dataplane
        self._run()

    def want(self, endpoints: Collection[Endpoint]) -> None:
        """The line sees every frame of a capture, and counts those that no transfer names."""
        self._wanted = bool(endpoints)
        self._run()

    def pause(self, *, paused: bool) -> None:
        """Stops the clock of the capture, or lets it go on from where it stood."""
        self._paused = paused
        self._run()

    def progress(self) -> CaptureProgress:
        """How far the files have been replayed."""
        return self._dataplane.capture_progress()

    def troubles(self) -> dict[str, str]:
        """A sentence for each file whose rest could not be read."""
        return self._dataplane.capture_troubles()

    def report(self) -> PortReport:
        """How many files."""
        count = len(self._plan.captures.files)
        line = f"mirror port: {count} capture file{'' if count == 1 else 's'}"
        return PortReport(PortRole.MIRROR, line, (PortMode.CAPTURE,))

    def account(self) -> PortAccount:
        """Frames of a file wait until there is room: none is lost before the line."""
        return PortAccount("captures", PortRole.MIRROR, {}, [])

    def _run(self) -> None:
        if self._wanted and not self._paused:
            self._dataplane.resume_capture()
        else:
            self._dataplane.pause_capture()


def mirrors(plan: Plan, machine: Machine) -> tuple[Port, ...]:
    """The mirror ports of a plan."""
    return tuple(
        CapturePort(port) if isinstance(port, CapturePlan) else AfXdpPort(port, machine)
        for port in plan.mirrors
    )
