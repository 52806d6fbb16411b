"""Answers that change nothing: the engine's own view of itself."""

from __future__ import annotations

import os
import threading
import time
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.contract.appliance import PortStatus, QueueStatus, Status, Workers, WorkerStatus
from appliance.contract.base import ErrorKind, Problem, refused
from appliance.contract.observed import (
    Counters,
    Latency,
    Ledger,
    Protocols,
    Sessions,
    SessionState,
    SessionStatus,
    Waits,
)
from appliance.engine import ledger
from appliance.engine.stats import NANOSECONDS_PER_S, STALE_S, StatsFile
from appliance.settings.endpoint import written
from dataplane import binding
from dataplane.binding import SCHEMA, Side

if TYPE_CHECKING:
    from appliance.contract.observed import GetSession, ListSessions
    from appliance.engine.engine import Engine
    from appliance.service.live import Live

TASKS = Path("/proc/self/task")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
UTIME, STIME = 13, 14  # proc_pid_stat(5), counted from the command's closing bracket: 11 and 12


class Answers:
    """Reads from a running engine."""

    def __init__(self, engine: Engine, live: Live) -> None:
        """The engine has been started."""
        self._live = live
        self._began = time.monotonic()
        self._asking = threading.Lock()
        self.take(engine)

    def take(self, engine: Engine) -> None:
        """Another one has been started in its place."""
        self._engine = engine
        self._stats = StatsFile(engine.config.stats)
        self._last = self.status()

    def status_aside(self, why: str) -> Status:
        """What it was when the engine was last open, and what has the ports now."""
        saved = self._live.saved
        return self._last.model_copy(
            update={
                "uptime_s": time.monotonic() - self._began,
                "armed": saved.armed,
                "transfers": len(saved.transfers),
                "aside": why,
            }
        )

    @staticmethod
    def counters_of(path: Path) -> Counters:
        """Those of another process. Raises MachineError while it has none."""
        stats = StatsFile(path)
        return Counters(
            schema_version=SCHEMA,
            at=time.time(),
            totals=stats.read().counters,
            workers=stats.by_worker(),
            transfers={},
        )

    def status(self) -> Status:
        """What the appliance is."""
        up = time.monotonic() - self._began
        return Status(
            version=version("xdpcopy"),
            pid=os.getpid(),
            started_at=time.time() - up,
            uptime_s=up,
            armed=self._live.saved.armed,
            healthy=self._stats.read().age_s < STALE_S,
            workers=self._engine.plan.workers,
            transfers=len(self._live.saved.transfers),
            ports=tuple(self._ports()),
            stats=self._engine.config.stats,
            warnings=self._engine.plan.warnings,
        )

    def workers(self) -> Workers:
        """One for each thread."""
        ages, times, cpus = self._stats.ages(), _cpu_seconds(), self._engine.plan.cpus
        return Workers(
            items=tuple(
                WorkerStatus(
                    worker=index,
                    cpu=cpus[index] if cpus else None,
                    cpu_s=times.get(f"worker-{index}", 0.0),
                    beat_age_s=age,
                )
                for index, age in enumerate(ages)
            )
        )

    def counters(self) -> Counters:
        """All of them."""
        return Counters(
            schema_version=SCHEMA,
            at=time.time(),
            totals=self._engine.counters(),
            workers=self._stats.by_worker(),
            transfers={name: self._stats.transfer(slot) for name, slot in self._live.places().items()},
        )

    def ledger(self) -> Ledger:
        """The account so far."""
        made = self._engine.account()
        return Ledger(closes=made["closes"], ledger=made)

    def protocols(self) -> Protocols:
        """What was told from the first bytes."""
        prefix, counters = "protocol_", self._engine.counters()
        return Protocols(
            connections={
                name.removeprefix(prefix): n for name, n in counters.items() if name.startswith(prefix)
            }
        )

    def latency(self) -> Latency:
        """Answer times of each transfer; production only where it has been measured."""
        places, stats = self._live.places(), self._stats
        production = {name: stats.answer_times(at, Side.PRODUCTION) for name, at in places.items()}
        return Latency(
            target={name: stats.answer_times(at, Side.TARGET) for name, at in places.items()},
            production={name: times for name, times in production.items() if times.count},
        )

    def sessions(self, request: ListSessions) -> Sessions:
        """Those that fit."""
        try:
            client = ip_address(request.client) if request.client else None
        except ValueError:
            problem = f"'{request.client}' is no address; write one like 198.18.0.10"
            raise refused(ErrorKind.INVALID, problem, Problem(field="client", message=problem)) from None
        state = None if request.state is None else binding.SessionState[request.state.name]
        places = self._live.places()
        if request.transfer is not None and request.transfer not in places:
            raise refused(ErrorKind.NOT_FOUND, f"there is no transfer '{request.transfer}'")
        transfer = None if request.transfer is None else places[request.transfer]
        found, more = self._ask(request.limit, client=client, state=state, transfer=transfer)
        return Sessions(items=tuple(found), truncated=more)

    def session(self, request: GetSession) -> SessionStatus:
        """One, by its id."""
        place = request.session.split(".")[1:2]
        if place and place[0].isdecimal() and int(place[0]) < binding.ANY:
            found, _ = self._ask(binding.MAX_ROWS, place=int(place[0]))
            for one in found:
                if one.id == request.session:
                    return one
        raise refused(
            ErrorKind.NOT_FOUND, f"there is no session '{request.session}'; it has ended, or never was"
        )

    def _ask(self, limit: int, **wanted: Any) -> tuple[list[SessionStatus], bool]:  # noqa: ANN401 - as in engine
        names = {slot: name for name, slot in self._live.places().items()}
        with self._asking:
            found, more = self._engine.sessions(limit, **wanted)
        return [_session(one, names[one.transfer]) for one in found if one.transfer in names], more

    def _ports(self) -> list[PortStatus]:
        workers = self._engine.plan.workers
        found = []
        for report, account, port in zip(
            self._engine.reports(), self._engine.accounts(), self._engine.plan.ports, strict=True
        ):
            queues = tuple(
                QueueStatus(
                    queue=index,
                    worker=index % workers,
                    mode=mode.name.lower(),
                    lost=ledger.lost(account.sockets[index]),
                )
                for index, mode in enumerate(report.queues)
            )
            found.append(
                PortStatus(
                    role=report.role.name.lower(),
                    device=report.device,
                    driver=report.driver,
                    xdp=str(report.xdp.value),
                    refusal=report.refusal,
                    mtu=port.facts.mtu,
                    queues=queues,
                    xdp_counts=dict(account.xdp),
                )
            )
        return found


def _session(one: binding.Session, transfer: str) -> SessionStatus:
    return SessionStatus(
        id=f"{one.worker}.{one.place}.{one.opened_at:x}",
        transfer=transfer,
        worker=one.worker,
        state=SessionState[one.state.name],
        waits=Waits[one.waits.name],
        client=written(*one.client),
        server=written(*one.server),
        forged=written(*one.forged),
        target=written(*one.target),
        age_s=one.age / NANOSECONDS_PER_S,
        idle_s=one.idle / NANOSECONDS_PER_S,
        turns=one.turns,
        request_bytes=one.request_bytes,
        pending_bytes=one.pending_bytes,
        answer_bytes=one.answer_bytes,
        retransmits=one.retransmits,
        rtt_ms=one.rtt / 1000,
    )


def _cpu_seconds() -> dict[str, float]:
    """CPU time of each thread of this process, by its name."""
    found = {}
    for task in TASKS.iterdir():
        try:
            text = (task / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # one that answered somebody has ended meanwhile
            continue
        name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        found[name] = (int(fields[UTIME - 2]) + int(fields[STIME - 2])) / TICKS_PER_S
    return found
