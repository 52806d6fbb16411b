"""``xdpcopy run``: start the engine, say what was obtained, wait for a signal, stop, write the ledger."""

from __future__ import annotations

import gc
import json
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from rich.console import Console
from rich.live import Live

from appliance.commands.process_files import not_a_daemon
from appliance.durable import write_whole
from appliance.engine.engine import Engine
from appliance.engine.forecast import forecast
from appliance.engine.stats import rates
from appliance.errors import ConfigError
from appliance.signals import STOP_SIGNALS, held_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appliance.engine.engine import PortReport
    from appliance.settings.config import Config

log = structlog.get_logger()

TICK_S = 1.0


def run(
    config: Config,
    *,
    live: bool = False,
    ready: Callable[[], None] = not_a_daemon,
    engine: Callable[[Config], Engine] = Engine,
) -> None:
    """Replays until SIGTERM, SIGINT or SIGHUP; calls ``ready`` when frames can flow.

    Raises ApplianceError or OSError if it cannot.
    """
    check_ledger_path(config.ledger)
    check_transfers(config)
    with ExitStack() as stack:
        stack.enter_context(held_signals(STOP_SIGNALS))
        running = stack.enter_context(engine(config))
        for line in report(running):
            print(line)
        print("ready", flush=True)
        ready()
        _serve(running, live=live)
        ledger = running.stop()
    if config.ledger is not None:
        write_ledger(config.ledger, ledger)
    conclude(ledger)


def report(engine: Engine) -> list[str]:
    """What was obtained, a line for each port, transfer and for the workers."""
    lines = []
    for port in engine.reports():
        modes = ", ".join(mode.name.lower() for mode in port.queues)
        why = f" ({port.refusal})" if port.refusal else ""
        lines.append(
            f"{port.role.name.lower()} port {port.device}: driver {port.driver or 'unknown'},"
            f" XDP {port.xdp.value}{why}, socket of each queue: {modes}; {_ways(port)}"
        )
    for transfer in engine.config.transfers:
        hop = next(hop for target, hop in engine.hops.items() if target == transfer.target.address)
        lines.append(f"transfer {transfer.label}: next hop {hop.address} at {hop.mac}")
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


def _ways(port: PortReport) -> str:
    """How its sockets are driven, and where their buffers lie."""
    if port.huge_pages == len(port.queues):
        buffers = "buffers on huge pages"
    elif port.huge_pages:
        buffers = f"buffers of {port.huge_pages} queues on huge pages, of the others on normal ones"
    else:
        buffers = "buffers on normal pages"
    return f"busy polling, {buffers}" if port.busy_poll else buffers


def ticks(*wake: signal.Signals) -> Iterator[None]:
    """One each TICK_S, and for each signal to wake up, until one of STOP_SIGNALS comes.

    What a tick leaves behind is collected after it: else that waits until there is a quarter as much of it as
    of all that the start has made, and an engine seems to grow for an hour.
    """
    gc.collect()
    gc.freeze()
    try:
        while True:
            found = signal.sigtimedwait({*STOP_SIGNALS, *wake}, TICK_S)
            if found is not None and found.si_signo in STOP_SIGNALS:
                return
            yield
            gc.collect()
    finally:
        gc.unfreeze()


def _serve(engine: Engine, *, live: bool) -> None:
    with ExitStack() as stack:
        show = stack.enter_context(_status_line(engine)) if live else _nothing
        for _ in ticks():
            engine.tick()
            show()


def _nothing() -> None:
    pass


@contextmanager
def _status_line(engine: Engine) -> Iterator[Callable[[], None]]:
    last = (engine.counters(), time.monotonic())
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as line:

        def show() -> None:
            nonlocal last
            counters, now = engine.counters(), time.monotonic()
            line.update(rates(last[0], counters, now - last[1]), refresh=True)
            last = (counters, now)

        yield show


def check_transfers(config: Config) -> None:
    """Raises ConfigError where there is nothing to do, and nobody who could change that."""
    if not config.transfers:
        raise ConfigError("transfers: there are none; add one, or run xdpcopy engine, which is told later")


def check_ledger_path(path: Path | None) -> None:
    """Before the start: a run whose account cannot be written is for nothing. Raises ConfigError."""
    if path is not None and not path.parent.is_dir():
        raise ConfigError(f"ledger: the folder {path.parent} is not there; make it, or give another path")


def write_ledger(path: Path, ledger: dict[str, Any]) -> None:
    """The account, as JSON. Raises OSError."""
    write_whole(path, json.dumps(ledger, indent=2) + "\n")


def conclude(ledger: dict[str, Any]) -> None:
    """The last word of a run."""
    if not ledger["closes"]:
        broken = {name: each for name, each in ledger["equations"].items() if not each["closes"]}
        log.error("the ledger does not close", equations=broken)
    counters, ends = ledger["counters"], {end: count for end, count in ledger["ends"].items() if count}
    ended = ", ".join(f"{end} {count:,}" for end, count in ends.items()) or "none"
    closes = "yes" if ledger["closes"] else "no"
    opened = counters["sessions_opened"]
    print(f"stopped: {opened:,} sessions ({ended}); ledger closes: {closes}", flush=True)
