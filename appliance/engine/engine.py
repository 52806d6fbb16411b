"""The engine's life: devices prepared, programs attached, workers running, and all of it undone in reverse.

with Engine(config) as engine:     # frames can flow
    while …:
        engine.tick()              # about once a second
    ledger = engine.stop()         # sessions reset, the account closed; leaving the block detaches
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import structlog

from appliance.engine import ledger, nic, placement, plan, stats
from appliance.engine.ledger import PortAccount
from appliance.errors import MachineError, NeighbourError
from dataplane import binding, pyxdp, steering
from dataplane.binding import PortRole, TransferState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from appliance.engine.nic import Hop
    from appliance.engine.plan import Plan
    from appliance.settings.config import Config
    from appliance.settings.endpoint import Address
    from dataplane.binding import Dataplane, PortMode, Session
    from dataplane.pyxdp import AttachMode, Capabilities
    from dataplane.steering import Steering

log = structlog.get_logger()

STOP_TIMEOUT_S = 1.0
SETTLE_TIMEOUT_S = 0.2
SETTLE_STEP_S = 0.005
CHANGE_TIMEOUT_S = 1.0
CHANGE_STEP_S = 0.0005
CONFIRM_TIMEOUT_S = 0.2
MOST_TARGETS = 256  # whose answers end here; a port takes 512 endpoints


class Resolver(Protocol):
    """What the engine needs of ``nic.Neighbours``."""

    def resolve(self, targets: Iterable[Address], timeout_s: float = ...) -> dict[Address, Hop]:
        """The next hop of each target, or NeighbourError."""

    def lookup(self, targets: Iterable[Address]) -> dict[Address, Hop]:
        """Those known now."""


@dataclass(frozen=True)
class Machine:
    """Everything outside of this module that the engine touches; tests put others in their place."""

    capabilities: Callable[[str], Capabilities] = pyxdp.capabilities
    cpus: Callable[[], Iterable[int]] = field(default=lambda: os.sched_getaffinity(0))
    kept_to: Callable[[Collection[int]], AbstractContextManager[None]] = placement.kept_to
    forwards: Callable[[str], list[str]] = nic.forwards
    silent: Callable[[str], AbstractContextManager[None]] = nic.silent
    symmetric: Callable[[str], AbstractContextManager[bool]] = nic.symmetric
    busy_polling: Callable[[str], AbstractContextManager[None]] = nic.busy_polling
    neighbours: Callable[[str], Resolver] = nic.Neighbours
    steering: Callable[..., Steering] = steering.Steering
    dataplane: Callable[[binding.Config], Dataplane] = binding.Dataplane


@dataclass(frozen=True)
class PortReport:
    """What a port obtained."""

    role: PortRole
    device: str
    driver: str
    xdp: AttachMode
    refusal: str
    queues: tuple[PortMode, ...]
    huge_pages: int
    busy_poll: bool


class Engine:
    """A running replay; a context manager that starts and stops it.

    Raises ApplianceError, or one of the dataplane's OSErrors, where it cannot start; then all that was done
    is undone. ``stop`` is called by leaving the block if nobody did before.
    """

    def __init__(self, config: Config, machine: Machine | None = None) -> None:
        """Nothing is touched yet."""
        self.config = config
        self.hops: dict[Address, Hop] = {}
        self.ledger: dict[str, Any] = {}
        self._machine = machine or Machine()
        self._undo = ExitStack()
        self._steerings: list[Steering] = []
        self._targets: dict[Any, None] = {}  # endpoints, the latest last

    def __enter__(self) -> Self:
        """Starts."""
        with ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops if that did not happen, and undoes everything."""
        with self._undo:
            self.stop()

    def stop(self) -> dict[str, Any]:
        """Resets every session and closes the account, within STOP_TIMEOUT_S and a moment. The ledger."""
        if not self.ledger:
            self._close_mirrors()
            self._dataplane.stop(STOP_TIMEOUT_S)
            self.ledger = self._settled_ledger()
        return self.ledger

    def tick(self) -> None:
        """Housekeeping: follows next hops that move, and says so if a worker hangs."""
        self._follow_neighbours()
        age = self._stats.read().age_s
        if age > stats.STALE_S:
            log.error("a worker gives no sign of life", seconds=round(age, 1))

    def change(self, transfers: Sequence[binding.Transfer], sessions_per_second: int) -> None:
        """All workers have these transfers, by index (see ``dp_change``), when this returns.

        Raises MachineError if a worker does not follow within CHANGE_TIMEOUT_S.
        """
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        self._steerings[-1].replace_endpoints(self._targets_with(transfers))
        while not self._told(transfers, sessions_per_second, deadline):
            time.sleep(CHANGE_STEP_S)
        for attached in self._mirror_steerings():
            attached.replace_endpoints(self._sources_of(transfers))
        while not self._dataplane.is_changed():
            if time.monotonic() > deadline:
                raise MachineError("a worker does not take up the change; xdpcopy status shows which hangs")
            time.sleep(CHANGE_STEP_S)

    def confirm(self) -> int:
        """Waits until targets have let go of the sessions that a change has reset, or CONFIRM_TIMEOUT_S.

        Returns how many they may hold yet.
        """
        deadline = time.monotonic() + CONFIRM_TIMEOUT_S
        while (left := self._dataplane.unconfirmed()) and time.monotonic() < deadline:
            time.sleep(CHANGE_STEP_S)
        return left

    @property
    def neighbours(self) -> Resolver:
        """Next hops on the test port."""
        return self._neighbours

    def set_neighbour(self, transfer: int, mac: str) -> None:
        """The next hop of this transfer's target, by index, has moved."""
        self._dataplane.set_neighbour(transfer, mac)

    def sessions(self, limit: int, **wanted: Any) -> tuple[list[Session], bool]:  # noqa: ANN401 - ask_sessions has them
        """Those that fit what ``Dataplane.ask_sessions`` takes, and whether there are more than ``limit``.

        Raises MachineError if a worker does not answer within CHANGE_TIMEOUT_S. One thread at a time.
        """
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        self._dataplane.ask_sessions(limit=limit, **wanted)
        while (found := self._dataplane.take_sessions(limit)) is None:
            if time.monotonic() > deadline:
                raise MachineError("a worker does not answer; xdpcopy status shows which hangs")
            time.sleep(CHANGE_STEP_S)
        return found

    def counters(self) -> dict[str, int]:
        """Every counter, summed over all workers."""
        return self._dataplane.counters()

    def account(self) -> dict[str, Any]:
        """The ledger so far."""
        return ledger.make(self.counters(), self.accounts(), time.monotonic() - self._started)

    def reports(self) -> list[PortReport]:
        """What each port obtained: driver, XDP mode, and the mode of each queue's socket."""
        return [
            PortReport(
                role=port.role,
                device=port.settings.device,
                driver=port.facts.driver,
                xdp=attached.mode,
                refusal=attached.refusal or "",
                queues=tuple(modes),
                huge_pages=huge,
                busy_poll=port.settings.busy_poll,
            )
            for port, attached, modes, huge in zip(  # a port that reads capture files has no device to report
                self.plan.ports,
                self._steerings,
                self._dataplane.modes(),
                self._dataplane.huge_pages(),
                strict=False,
            )
        ]

    def accounts(self) -> list[PortAccount]:
        """What each port's program and sockets counted."""
        return [
            PortAccount(
                device=port.settings.device,
                role=port.role,
                xdp=attached.counts(),
                sockets=[self._dataplane.port_statistics(index, queue) for queue in range(port.queues)],
            )
            for index, (port, attached) in enumerate(zip(self.plan.ports, self._steerings, strict=True))
        ]

    def _told(self, transfers: Sequence[binding.Transfer], cap: int, deadline: float) -> bool:
        """False: the dataplane is busy with the change before."""
        try:
            self._dataplane.change(transfers, cap)
        except binding.DataplaneError as error:
            if error.errno != errno.EBUSY:
                raise
            if time.monotonic() > deadline:
                raise MachineError(f"no change is possible: {error.strerror}") from error
            return False
        return True

    @staticmethod
    def _sources_of(transfers: Sequence[binding.Transfer]) -> list[Any]:
        live = [one for one in transfers if one.state is not TransferState.REMOVED]
        return [(one.source_ip, one.source_port, one.transport) for one in live]

    def _targets_with(self, transfers: Sequence[binding.Transfer]) -> list[Any]:
        """Theirs, and the last of those before: late answers must end here after a place is used again."""
        for one in transfers:
            target = (one.target_ip, one.target_port, one.transport)
            self._targets.pop(target, None)
            self._targets[target] = None
        while len(self._targets) > MOST_TARGETS:
            del self._targets[next(iter(self._targets))]
        return list(self._targets)

    def _mirror_steerings(self) -> list[Steering]:
        return [
            attached
            for port, attached in zip(self.plan.ports, self._steerings, strict=True)
            if port.role is PortRole.MIRROR
        ]

    def _start(self, undo: ExitStack) -> None:
        """In this order: what can be refused without a trace, what changes devices, what moves frames."""
        machine = self._machine
        undo.enter_context(stats.claim(self.config.stats))
        self.plan = self._make_plan()
        if self.plan.cpus:
            undo.enter_context(machine.kept_to(self.plan.control_cpus))
        self._neighbours = machine.neighbours(self.config.test.device)
        self.hops = self._neighbours.resolve(self.plan.targets)
        for mirror in self.config.mirror:
            undo.enter_context(machine.silent(mirror.device))
        for port in self.plan.ports:
            if port.role is PortRole.MIRROR and port.queues > 1:
                one = undo.enter_context(machine.symmetric(port.settings.device))
                log.info("RSS of a mirror port", device=port.settings.device, symmetric=one)
            if port.settings.busy_poll:
                undo.enter_context(machine.busy_polling(port.settings.device))
        self._attach(undo)
        offset = time.time_ns() - time.monotonic_ns()
        maps = [each.maps for each in self._steerings]
        self._dataplane = undo.enter_context(
            machine.dataplane(plan.dataplane(self.plan, maps, self.hops, offset))
        )
        self._started = time.monotonic()
        self._dataplane.start()
        self._open_mirrors()
        self._stats = stats.StatsFile(self.config.stats)

    def _attach(self, undo: ExitStack) -> None:
        """Attaches the programs, before the sockets: some drivers bind only with a program attached.

        Nothing is wanted on mirror ports yet (``_open_mirrors``).
        """
        for port in self.plan.ports:
            attached = self._machine.steering(
                port.role,
                port.settings.device,
                port.endpoints if port.role is PortRole.TEST else (),
                port.attach,
                port.unwanted,
                fragments=port.facts.split,
            )
            self._steerings.append(undo.enter_context(attached))

    def _make_plan(self) -> Plan:
        machine = self._machine
        devices = [*(port.device for port in self.config.mirror), self.config.test.device]
        facts = {device: machine.capabilities(device) for device in devices}
        made = plan.make(self.config, facts, sorted(machine.cpus()))
        for port in made.ports:
            for note in port.facts.notes:
                log.info(note, device=port.settings.device)
        for warning in made.warnings:
            log.warning(warning)
        for name in machine.forwards(self.config.test.device):
            log.warning("the kernel would forward what the XDP program lets pass", cure=f"sysctl -w {name}=0")
        return made

    def _follow_neighbours(self) -> None:
        try:
            found = self._neighbours.lookup(set(self.plan.targets))
        except NeighbourError as error:
            log.warning("a target has lost its route", error=str(error))
            return
        for index, target in enumerate(self.plan.targets):
            hop = found.get(target)
            if hop is not None and hop.mac != self.hops[target].mac:
                log.info("a next hop has moved", target=str(target), hop=str(hop.address), mac=hop.mac)
                self._dataplane.set_neighbour(index, hop.mac)
        self.hops |= found

    def _open_mirrors(self) -> None:
        """Every worker takes frames: from now on they may come. Before, a burst would overflow a ring."""
        for port, attached in zip(self.plan.ports, self._steerings, strict=True):
            if port.role is PortRole.MIRROR:
                attached.replace_endpoints(port.endpoints)

    def _close_mirrors(self) -> None:
        """From now on nothing is wanted on mirror ports; the test port stays a black hole to the end."""
        for attached in self._mirror_steerings():
            attached.replace_endpoints(())

    def _settled_ledger(self) -> dict[str, Any]:
        """The ledger after the frames that XDP gave to sockets before the stop have been read.

        The threads have ended, so the workers are turned from here.
        """
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            self._dataplane.step(time.monotonic_ns())
            made = self.account()
            if made["closes"] or time.monotonic() > deadline:
                return made
            time.sleep(SETTLE_STEP_S)
