"""All checks, in order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.doctor.finding import ok, skipped, warning
from appliance.doctor.machine import examine_machine
from appliance.doctor.probe import examine_answers
from appliance.doctor.traffic import Traffic, counted, examine_traffic, listen
from appliance.engine.stats import StatsFile
from appliance.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.contract.doctor import Finding
    from appliance.settings.config import Config


def examine(config: Config, seconds: float) -> Iterator[Finding]:
    """Makes the checks one by one, and listens on the mirror for ``seconds``."""
    yield ok("configuration", f"{len(config.transfers)} transfers")
    yield from examine_machine(config)
    running = _running(config)
    if running is not None:
        yield from _of_engine(config, running, seconds)
        return
    traffic: Traffic | None = None
    try:
        traffic = listen(config, seconds)
    except OSError as error:
        yield skipped("mirror", str(error))
    else:
        yield from examine_traffic(config, traffic)
    yield from examine_answers(config, traffic)


def _running(config: Config) -> StatsFile | None:
    """The counters of an engine that is using the ports."""
    try:
        stats = StatsFile(config.stats)
    except MachineError:
        return None
    return None if stats.read().stale else stats


def _of_engine(config: Config, stats: StatsFile, seconds: float) -> Iterator[Finding]:
    """Reads the engine's counters, because its sockets take all frames."""
    before = stats.read().counters
    time.sleep(seconds)
    after = stats.read().counters
    yield from examine_traffic(config, counted(before, after, seconds))
    syns, opened = (after[name] - before[name] for name in ("sent_syn", "sessions_established"))
    if syns and not opened:
        yield warning(
            "answer",
            f"{syns:,} SYNs sent, no session established",
            "the target's answers do not come back",
            "stop the engine and run xdpcopy doctor again, which then probes the return path",
        )
    else:
        yield ok("answer", f"{opened:,} sessions established in that time")
