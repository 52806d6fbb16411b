"""Answers that change nothing: the engine's own view of itself."""

from __future__ import annotations

import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from appliance import ledger
from appliance.control.observed import Counters, Latency, Ledger, Protocols
from appliance.control.protocol import PortStatus, QueueStatus, Status, Workers, WorkerStatus
from appliance.stats import STALE_S, StatsFile
from dataplane.binding import SCHEMA, Side

if TYPE_CHECKING:
    from appliance.control.live import Live
    from appliance.engine import Engine

TASKS = Path("/proc/self/task")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
UTIME, STIME = 13, 14  # proc_pid_stat(5), counted from the command's closing bracket: 11 and 12


class Answers:
    """Reads from a running engine."""

    def __init__(self, engine: Engine, live: Live) -> None:
        """The engine has been started."""
        self._engine = engine
        self._live = live
        self._stats = StatsFile(engine.config.stats)
        self._began = time.monotonic()

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


def _cpu_seconds() -> dict[str, float]:
    """CPU time of each thread of this process, by its name."""
    found = {}
    for task in TASKS.iterdir():
        text = (task / "stat").read_text()
        name, fields = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        found[name] = (int(fields[UTIME - 2]) + int(fields[STIME - 2])) / TICKS_PER_S
    return found
