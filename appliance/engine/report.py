"""What an engine reports, in words and in files: at the start, while it runs, and at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import structlog

from appliance.durable import write_whole
from appliance.engine import transfers
from appliance.engine.forecast import forecast
from appliance.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.engine.engine import Engine

log = structlog.get_logger()


def report(engine: Engine) -> list[str]:
    """The start report: a line for each port and transfer, and for the workers."""
    lines = [port.line for port in engine.reports()]
    for one in transfers.named(engine.config):
        hop = engine.transfers.hops.known[one.target]
        lines.append(f"transfer {one.settings.label}: next hop {hop.address} at {hop.mac}")
    lines += [f"transfer {each.transfer.label}: {each.sentence}" for each in forecast(engine.config)]
    cpus = ", ".join(map(str, engine.plan.cpus)) or "any"
    control = ", ".join(map(str, engine.plan.control_cpus))
    lines.append(f"workers: {engine.plan.workers}, on CPUs: {cpus}; control process on: {control}")
    if engine.plan.workers > 1:
        lines.append(f"answers on another queue than their owner's are handed off; {_forging(engine)}")
    return lines


def _forging(engine: Engine) -> str:
    if engine.plan.rss is None:
        return "the test port's driver does not tell how it spreads them"
    return "forged ports of pools and copies are chosen by the test port's RSS so that there are none"


def check_ledger_path(path: Path | None) -> None:
    """Raises ConfigError before the start rather than lose the ledger at the end."""
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"ledger: the folder {path.parent} does not exist; create it, or give another path")


def write_json(path: Path, made: dict[str, Any]) -> None:
    """Writes a ledger, or the progress of a replay. Raises OSError."""
    write_whole(path, json.dumps(made, indent=2) + "\n")


def conclude(ledger: dict[str, Any]) -> None:
    """Prints the last line of a run."""
    if not ledger["closes"]:
        broken = {name: each for name, each in ledger["equations"].items() if not each["closes"]}
        log.error("the ledger does not close", equations=broken)
    counters, ends = ledger["counters"], {end: count for end, count in ledger["ends"].items() if count}
    ended = ", ".join(f"{end} {count:,}" for end, count in ends.items()) or "none"
    closes = "yes" if ledger["closes"] else "no"
    opened = counters["sessions_opened"]
    print(f"stopped: {opened:,} sessions ({ended}); ledger closes: {closes}", flush=True)
