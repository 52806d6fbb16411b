"""The engine's life: devices prepared, programs attached, workers running, and all of it undone in reverse.

with Engine(config) as engine:     # frames can flow
    while …:
        engine.tick()              # about once a second
    ledger = engine.stop()         # sessions reset, the account closed; leaving the block detaches
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import structlog

from appliance.engine import ledger, plan, stats, transfers
from appliance.engine.hops import NextHops
from appliance.engine.machine import Machine
from appliance.engine.transfers import Transfers
from appliance.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from appliance.engine.ledger import PortAccount
    from appliance.engine.plan import Plan
    from appliance.engine.ports import Port, PortReport
    from appliance.settings.config import Config
    from dataplane.binding import Capture, Dataplane, Session

log = structlog.get_logger()

STOP_TIMEOUT_S = 1.0
SETTLE_TIMEOUT_S = 0.2
SETTLE_STEP_S = 0.005
ANSWER_TIMEOUT_S = 1.0
ANSWER_STEP_S = 0.0005


class Engine:
    """A running replay; a context manager that starts and stops it.

    It replays what the mirror devices receive or, in their place, ``captures``. It starts with the transfers
    of its configuration; whoever wants others applies them to ``transfers``.

    Raises ApplianceError, or one of the dataplane's OSErrors, where it cannot start; then all that was done
    is undone. Leaving the block stops it unless ``stop`` has been called.
    """

    def __init__(
        self, config: Config, machine: Machine | None = None, captures: Capture | None = None
    ) -> None:
        self.config = config
        self.plan: Plan
        self.transfers: Transfers
        self.mirrors: tuple[Port, ...] = ()
        self.ledger: dict[str, Any] = {}
        self._captures = captures
        self._machine = machine or Machine()
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._start(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._undo:
            self.stop()

    def stop(self) -> dict[str, Any]:
        """Resets every session and returns the ledger, within STOP_TIMEOUT_S and a moment."""
        if not self.ledger:
            for mirror in self.mirrors:  # the test port stays a black hole to the end
                mirror.want(())
            self._dataplane.stop(STOP_TIMEOUT_S)
            self.ledger = self._settled_ledger()
        return self.ledger

    def tick(self) -> None:
        """Housekeeping: follows next hops that move, and logs a worker that hangs."""
        self.transfers.follow()
        age = self._stats.read().age_s
        if age > stats.STALE_S:
            log.error("a worker gives no sign of life", seconds=round(age, 1))

    def sessions(self, limit: int, **wanted: Any) -> tuple[list[Session], bool]:  # noqa: ANN401 - ask_sessions has them
        """Those that match, as ``Dataplane.ask_sessions`` has it, and whether there are more than ``limit``.

        Raises MachineError if a worker does not answer in ANSWER_TIMEOUT_S. One thread at a time.
        """
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        self._dataplane.ask_sessions(limit=limit, **wanted)
        while (found := self._dataplane.take_sessions(limit)) is None:
            if time.monotonic() > deadline:
                raise MachineError("a worker does not answer; xdpcopy status shows which hangs")
            time.sleep(ANSWER_STEP_S)
        return found

    def counters(self) -> dict[str, int]:
        """Every counter, summed over all workers."""
        return self._dataplane.counters()

    def account(self) -> dict[str, Any]:
        """The ledger so far."""
        return ledger.make(self.counters(), self.accounts(), time.monotonic() - self._started)

    def reports(self) -> list[PortReport]:
        """What each port obtained, the test port last."""
        return [port.report() for port in self._ports]

    def accounts(self) -> list[PortAccount]:
        """What each port counted, in the same order."""
        return [port.account() for port in self._ports]

    @property
    def _ports(self) -> Sequence[Port]:
        return (*self.mirrors, self._test)

    def _start(self, undo: ExitStack) -> None:
        """In this order: what can be refused without a trace, what changes devices, what moves frames."""
        machine = self._machine
        undo.enter_context(stats.claim(self.config.stats))
        self.plan = self._make_plan()
        if self.plan.cpus:
            undo.enter_context(machine.kept_to(self.plan.control_cpus))
        self._test = self.plan.test.port(machine)
        self.mirrors = tuple(port.port(machine) for port in self.plan.mirrors)
        wanted = transfers.named(self.config)
        hops = NextHops(self._test.resolver())
        hops.resolve(transfers.targets_of(wanted))
        self._open(undo)
        self._started = time.monotonic()
        self._dataplane.start()  # returns when every worker is ready for frames
        self._stats = stats.StatsFile(self.config.stats)
        self.transfers = Transfers(self._dataplane, self.mirrors, self._test, hops)
        self.transfers.apply(self.config, wanted)

    def _open(self, undo: ExitStack) -> None:
        told = [port.open(undo) for port in self._ports]
        offset = time.time_ns() - time.monotonic_ns()
        config = plan.dataplane(self.plan, told, offset)
        self._dataplane: Dataplane = undo.enter_context(self._machine.dataplane(config))
        for index, port in enumerate(self._ports):
            port.opened(self._dataplane, index)

    def _make_plan(self) -> Plan:
        machine = self._machine
        facts = {device: machine.capabilities(device) for device in plan.devices(self.config, self._captures)}
        made = plan.make(self.config, facts, sorted(machine.cpus()), self._captures)
        for port in made.ports:
            for note in port.notes:
                log.info(note, device=port.device)
        for warning in made.warnings:
            log.warning(warning)
        return made

    def _settled_ledger(self) -> dict[str, Any]:
        """The ledger, once the frames that were still waiting in sockets have been read.

        The worker threads have ended; their loops run here.
        """
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            self._dataplane.step(time.monotonic_ns())
            made = self.account()
            if made["closes"] or time.monotonic() > deadline:
                return made
            time.sleep(SETTLE_STEP_S)
