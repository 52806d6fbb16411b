"""``xdpcopy run``: starts the engine, reports, waits for a signal, stops, writes the ledger."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live

from appliance.commands.process_files import not_a_daemon
from appliance.engine.engine import Engine
from appliance.engine.report import check_ledger_path, conclude, report, write_json
from appliance.engine.stats import rates
from appliance.errors import ConfigError
from appliance.signals import STOP_SIGNALS, held_signals, ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.settings.config import Config


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
        write_json(config.ledger, ledger)
    conclude(ledger)


def check_transfers(config: Config) -> None:
    """Raises ConfigError where there is nothing to replay, and nobody to change that."""
    if not config.transfers:
        raise ConfigError("transfers: there are none; add one, or run xdpcopy engine, which is told later")


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
