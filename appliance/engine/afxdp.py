"""A port that is a network device: an XDP program steers its frames to AF_XDP sockets.

All that only such a device has is here: program, silence, RSS, busy polling, neighbours in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from appliance.engine.ledger import PortAccount
from appliance.engine.ports import PortReport
from appliance.errors import ConfigError, DeviceError
from appliance.settings.ports import Mode, Unwanted
from dataplane import binding
from dataplane.binding import PortKind, PortMode, PortRole
from dataplane.pyxdp import AttachMode

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import ExitStack

    from appliance.engine.hops import Resolver
    from appliance.engine.machine import Machine
    from appliance.engine.ports import Endpoint
    from appliance.settings.ports import Port
    from dataplane.binding import Dataplane
    from dataplane.pyxdp import Capabilities
    from dataplane.pyxdp.rss import Rss
    from dataplane.steering import Maps, Steering

log = structlog.get_logger()

ATTACH = {
    Mode.AUTO: AttachMode.AUTO,
    Mode.ZEROCOPY: AttachMode.NATIVE,
    Mode.COPY: AttachMode.AUTO,
    Mode.GENERIC: AttachMode.GENERIC,
}
BIND = {
    Mode.AUTO: PortMode.AUTO,
    Mode.ZEROCOPY: PortMode.ZEROCOPY,
    Mode.COPY: PortMode.COPY,
    Mode.GENERIC: PortMode.COPY,
}


@dataclass(frozen=True)
class AfXdpPlan:
    """What is asked of a device, and what it is."""

    role: PortRole
    settings: Port
    facts: Capabilities
    queues: int

    @property
    def device(self) -> str:
        """Its name."""
        return self.settings.device

    @property
    def near_cpus(self) -> tuple[int, ...]:
        """The CPUs of its NUMA node; empty: it has none."""
        return tuple(self.facts.near_cpus)

    @property
    def rss(self) -> Rss | None:
        """How it spreads what it receives; None: its driver does not tell."""
        return self.facts.rss

    @property
    def notes(self) -> tuple[str, ...]:
        """What the device cannot do, and the start gets along without."""
        return tuple(self.facts.notes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is likely a mistake."""
        most = self.facts.queues.bindable
        if self.queues == most:
            return ()
        served = f"{self.device}: only {self.queues} of its {most} queues are served"
        return (f"{served}; frames of the others are dropped",)

    def port(self, machine: Machine) -> AfXdpPort:
        """The port, not open yet."""
        return AfXdpPort(self, machine)

    @property
    def attach(self) -> AttachMode:
        """How its XDP program is attached."""
        return ATTACH[self.settings.mode]

    @property
    def unwanted(self) -> str:
        """What its XDP program does with frames that no transfer names."""
        return str(getattr(self.settings, "unwanted", Unwanted.DROP))

    def dataplane(self, maps: Maps) -> binding.Port:
        """What the dataplane is told of it; ``maps`` are those of its XDP program."""
        settings = self.settings
        return binding.Port(
            kind=PortKind.XSK,
            role=self.role,
            device=settings.device,
            queues=self.queues,
            ring_size=settings.ring_size,
            shed_map=maps.shed,
            verify_checksums=settings.verify_checksums,
            mtu=_mtu(self),
            mac=self.facts.mac,
            xsk=binding.Xsk(
                sockets_map=maps.sockets,
                mode=BIND[settings.mode],
                busy_poll=settings.busy_poll,
                fragments=self.facts.split,
            ),
        )


def plan(role: PortRole, settings: Port, facts: Capabilities) -> AfXdpPlan:
    """Raises DeviceError or ConfigError where the device cannot do what is asked of it."""
    device, most = settings.device, facts.queues.bindable
    if not facts.up:
        raise DeviceError(f"{device} is down; bring it up: ip link set {device} up")
    largest = max(facts.socket_mtu, facts.largest_mtu)
    if facts.mtu > largest:
        raise DeviceError(
            f"{device} has MTU {facts.mtu}, more than a socket's buffers hold with its driver {facts.driver};"
            f" ip link set {device} mtu {largest}"
        )
    if settings.mode is Mode.ZEROCOPY and facts.zero_copy is False:
        raise DeviceError(
            f"{device}: its driver {facts.driver} has no zero-copy; set its mode to auto or copy"
        )
    queues = most if settings.queues == "auto" else settings.queues
    if queues > most:
        raise ConfigError(
            f"queues: {device} has {most} in use, not {queues}; ethtool -L {device} changes that"
        )
    return AfXdpPlan(role, settings, facts, queues)


class AfXdpPort:
    """The device while an engine has it."""

    def __init__(self, plan: AfXdpPlan, machine: Machine) -> None:
        self._plan = plan
        self._machine = machine
        self._device = plan.settings.device
        self._steering: Steering
        self._dataplane: Dataplane
        self._index: int

    def resolver(self) -> Resolver:
        """Next hops as the kernel has them."""
        for name in self._machine.forwards(self._device):
            log.warning("the kernel would forward what the XDP program lets pass", cure=f"sysctl -w {name}=0")
        return self._machine.neighbours(self._device)

    def open(self, undo: ExitStack) -> binding.Port:
        """Attaches the program before there are sockets: some drivers bind only with one attached."""
        plan, machine = self._plan, self._machine
        if plan.role is PortRole.MIRROR:
            self._quieten(undo)
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

    def _quieten(self, undo: ExitStack) -> None:
        """A mirror port sends nothing, and both directions of a connection come to one queue."""
        undo.enter_context(self._machine.silent(self._device))
        if self._plan.queues > 1:
            obtained = undo.enter_context(self._machine.symmetric(self._device))
            log.info("RSS of a mirror port", device=self._device, symmetric=obtained)

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


def _mtu(port: AfXdpPlan) -> int:
    """At most what the device carries."""
    wanted = getattr(port.settings, "mtu", "auto")
    return port.facts.mtu if wanted == "auto" else min(port.facts.mtu, int(wanted))
