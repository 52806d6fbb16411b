"""``xdpcopy replay``: the engine of ``xdpcopy run``, fed from capture files until they end.

SIGUSR1 pauses the capture, SIGUSR2 lets it go on; SIGTERM, SIGINT and SIGHUP end it early.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from appliance.commands.process_files import not_a_daemon
from appliance.commands.run import check_transfers
from appliance.engine.capture import CapturePort
from appliance.engine.engine import Engine
from appliance.engine.machine import Machine
from appliance.engine.offline import PAUSE, RESUME, Outcome, summary
from appliance.engine.report import check_ledger_path, report, write_json
from appliance.errors import ConfigError
from appliance.signals import STOP_SIGNALS, TICK_S, held_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.settings.config import Config
    from dataplane.binding import Capture, CaptureProgress

log = structlog.get_logger()

LOOK_S = 0.2
NANOSECONDS_PER_S = 1e9


def run(
    config: Config,
    captures: Capture,
    *,
    ready: Callable[[], None] = not_a_daemon,
    progress: Path | None = None,
) -> Outcome:
    """Replays to the end, or to a signal; calls ``ready`` when it begins, writes ``progress`` meanwhile.

    Raises ApplianceError or OSError if it cannot.
    """
    check_ledger_path(config.ledger)
    check_transfers(config)
    with ExitStack() as stack:
        stack.enter_context(held_signals({*STOP_SIGNALS, PAUSE, RESUME}))
        engine = stack.enter_context(Engine(config, Machine(), captures))
        for line in report(engine):
            print(line)
        print("ready", flush=True)
        ready()
        (source,) = (port for port in engine.mirrors if isinstance(port, CapturePort))
        _serve(engine, source, progress)
        reached, troubles = source.progress(), source.troubles()
        ledger = {**engine.stop(), "capture": {**asdict(reached), "troubles": troubles}}
    if config.ledger is not None:
        write_json(config.ledger, ledger)
    outcome = Outcome(reached, troubles, ledger)
    for line in summary(outcome, len(captures.files)):
        print(line, flush=True)
    return outcome


def check_files(files: list[Path]) -> tuple[str, ...]:
    """Absolute paths. Raises ConfigError for what is not there; what they hold is seen when they open."""
    problems = [
        f"{path} is not there; give the path of a capture file (pcap or pcapng)"
        if not path.exists()
        else f"{path} is no file; give the path of a capture file (pcap or pcapng)"
        for path in files
        if not path.is_file()
    ]
    if problems:
        raise ConfigError(*problems)
    return tuple(str(path.absolute()) for path in files)


def _serve(engine: Engine, source: CapturePort, to: Path | None) -> None:
    """Until the capture has ended, or a signal says so."""
    tick_at = time.monotonic() + TICK_S
    clock = _Clock()
    with _bar() as bar:
        task = bar.add_task("", total=source.progress().bytes_total, position="", sessions="")
        while True:
            found = signal.sigtimedwait({*STOP_SIGNALS, PAUSE, RESUME}, LOOK_S)
            if found is not None and found.si_signo in STOP_SIGNALS:
                return
            if found is not None:
                _pause_or_resume(source, pause=found.si_signo == PAUSE)
            progress = source.progress()
            clock.turn(paused=progress.paused)
            if to is not None:
                write_json(to, {**asdict(progress), "running_s": clock.running_s})
            if not bar.disable:
                live = f"{engine.counters()['sessions_live']:,} sessions"
                bar.update(task, completed=progress.bytes, position=_position(progress), sessions=live)
            if progress.finished:
                return
            if time.monotonic() >= tick_at:
                tick_at += TICK_S
                engine.tick()


class _Clock:
    """Seconds for which the capture was not paused."""

    def __init__(self) -> None:
        self.running_s = 0.0
        self._at = time.monotonic()

    def turn(self, *, paused: bool) -> None:
        """Whether it was paused since the call before."""
        before, self._at = self._at, time.monotonic()
        self.running_s += 0.0 if paused else self._at - before


def _pause_or_resume(source: CapturePort, *, pause: bool) -> None:
    source.pause(paused=pause)
    if pause:
        log.info("the capture is paused; sessions go on with what they have", resume="SIGUSR2")
    else:
        log.info("the capture goes on")


def _position(progress: CaptureProgress) -> str:
    late = f", {progress.late / NANOSECONDS_PER_S:.1f} s late" if progress.late > NANOSECONDS_PER_S else ""
    state = " paused" if progress.paused else late
    turn = f"{min(progress.repeat + 1, progress.repeats)}/{progress.repeats} "
    return f"{turn if progress.repeats > 1 else ''}at {progress.position / NANOSECONDS_PER_S:,.1f} s{state}"


def _bar() -> Progress:
    """Shown on a terminal only."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.fields[position]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[sessions]}"),
        TimeElapsedColumn(),
        TextColumn("rest"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
