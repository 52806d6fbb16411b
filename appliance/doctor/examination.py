"""All checks in their order."""

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
    """One after the other; ``seconds`` are spent listening on the mirror."""
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
    """The counters of an engine that holds the ports."""
    try:
        stats = StatsFile(config.stats)
    except MachineError:
        return None
    return None if stats.read().stale else stats


def _of_engine(config: Config, stats: StatsFile, seconds: float) -> Iterator[Finding]:
    """Its sockets take all frames, so it is asked what it has counted."""
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
            "stop the engine and run xdpcopy doctor again: it then probes the way back",
        )
    else:
        yield ok("answer", f"{opened:,} sessions established meanwhile")
