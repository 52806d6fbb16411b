"""``xdpcopy replay``: capture files in place of a mirror device, to their end.

The engine is that of ``xdpcopy run``. Its dataplane gets one more port, which reads the files; no mirror
device is touched. SIGUSR1 pauses the capture, SIGUSR2 lets it go on; SIGTERM, SIGINT and SIGHUP end it early.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import structlog
from pydantic import Field
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from appliance.commands.process_files import not_a_daemon
from appliance.engine.engine import Engine, Machine
from appliance.engine.run import check_ledger_path, check_transfers, report, write_ledger
from appliance.errors import ConfigError
from appliance.settings.config import Config
from appliance.settings.ports import MirrorPort  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.signals import STOP_SIGNALS, held_signals
from dataplane.binding import Port, PortKind, PortRole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dataplane import binding
    from dataplane.binding import Capture, CaptureProgress, Dataplane

log = structlog.get_logger()

PAUSE, RESUME = signal.SIGUSR1, signal.SIGUSR2
LOOK_S = 0.2
TICK_S = 1.0
NANOSECONDS_PER_S = 1e9
AS_RECORDED = ("complete", "client_reset", "capture_ended")


class OfflineConfig(Config):
    """A configuration without mirror ports."""

    mirror: Annotated[tuple[MirrorPort, ...], Field(max_length=0)] = Field(
        default=(), description="None: capture files take their place."
    )


@dataclass(frozen=True)
class Outcome:
    """What was replayed, and the account of it."""

    progress: CaptureProgress
    troubles: dict[str, str]
    ledger: dict[str, Any]

    @property
    def closes(self) -> bool:
        """Whether the ledger does."""
        return bool(self.ledger["closes"])


class Player:
    """Opens a dataplane whose mirror port reads capture files, and keeps it at hand."""

    def __init__(self, capture: Capture, open_dataplane: Callable[[binding.Config], Dataplane]) -> None:
        """Nothing is opened yet."""
        self._capture = capture
        self._open = open_dataplane
        self.dataplane: Dataplane

    def __call__(self, config: binding.Config) -> Dataplane:
        """Captures are often made where the NIC computes checksums: they are not looked at."""
        port = Port(PortKind.CAPTURE, PortRole.MIRROR, verify_checksums=False, capture=self._capture)
        self.dataplane = self._open(replace(config, ports=(*config.ports, port)))
        return self.dataplane


def without_mirrors(config: Config) -> OfflineConfig:
    """The same settings, for capture files."""
    return OfflineConfig.model_validate({**dict(config), "mirror": ()})


def run(
    config: OfflineConfig,
    capture: Capture,
    machine: Machine | None = None,
    *,
    ready: Callable[[], None] = not_a_daemon,
    progress: Path | None = None,
) -> Outcome:
    """Replays to the end, or to a signal; calls ``ready`` when it begins, writes ``progress`` meanwhile.

    Raises ApplianceError or OSError if it cannot.
    """
    check_ledger_path(config.ledger)
    check_transfers(config)
    machine = machine or Machine()
    player = Player(capture, machine.dataplane)
    with ExitStack() as stack:
        stack.enter_context(held_signals({*STOP_SIGNALS, PAUSE, RESUME}))
        engine = stack.enter_context(Engine(config, replace(machine, dataplane=player)))
        for line in report(engine):
            print(line)
        print("ready", flush=True)
        ready()
        _serve(engine, player.dataplane, progress)
        reached, troubles = player.dataplane.capture_progress(), player.dataplane.capture_troubles()
        ledger = {**engine.stop(), "capture": {**asdict(reached), "troubles": troubles}}
    if config.ledger is not None:
        write_ledger(config.ledger, ledger)
    outcome = Outcome(reached, troubles, ledger)
    for line in summary(outcome, len(capture.files)):
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


def summary(outcome: Outcome, files: int) -> Iterator[str]:
    """What the user wants to know at the end."""
    progress, ledger = outcome.progress, outcome.ledger
    counters, ends = ledger["counters"], ledger["ends"]
    yield from outcome.troubles.values()
    state = "replayed" if progress.finished else "ended early"
    yield (
        f"{state}: {_count(files, 'file')}, {progress.repeat} of {_count(progress.repeats, 'time')};"
        f" {progress.frames:,} frames, {progress.bytes:,} of {progress.bytes_total:,} bytes"
        f" in {ledger['seconds']:,.1f} s"
    )
    faithful = sum(ends[name] for name in AS_RECORDED)
    yield (
        f"sessions: {counters['sessions_opened']:,}; as recorded {faithful:,} ({_named(ends, AS_RECORDED)});"
        f" incomplete {sum(ends.values()) - faithful:,} ({_named(ends, ends.keys() - set(AS_RECORDED))})"
    )
    yield (
        f"requests: {counters['turns_sent']:,} turns, {counters['request_bytes_acked']:,} bytes delivered,"
        f" {counters['request_bytes_abandoned']:,} not; answers: {counters['answer_bytes']:,} bytes"
    )
    unused = {name: count for name, count in ledger["drops"]["mirror"].items() if count}
    yield f"frames of the capture that were not used: {_named(unused, unused)}"
    yield f"ledger closes: {'yes' if outcome.closes else 'no'}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _named(counts: dict[str, int], names: Any) -> str:  # noqa: ANN401 - any collection of names
    return ", ".join(f"{name} {counts[name]:,}" for name in sorted(names) if counts[name]) or "none"


def _serve(engine: Engine, dataplane: Dataplane, to: Path | None) -> None:
    """Until the capture has ended, or a signal says so."""
    tick_at = time.monotonic() + TICK_S
    clock = _Clock()
    with _bar() as bar:
        task = bar.add_task("", total=dataplane.capture_progress().bytes_total, position="", sessions="")
        while True:
            found = signal.sigtimedwait({*STOP_SIGNALS, PAUSE, RESUME}, LOOK_S)
            if found is not None and found.si_signo in STOP_SIGNALS:
                return
            if found is not None:
                _pause_or_resume(dataplane, pause=found.si_signo == PAUSE)
            progress = dataplane.capture_progress()
            clock.turn(paused=progress.paused)
            if to is not None:
                write_ledger(to, {**asdict(progress), "running_s": clock.running_s})
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
        """Starts now."""
        self.running_s = 0.0
        self._at = time.monotonic()

    def turn(self, *, paused: bool) -> None:
        """Since the last one it was paused, or not."""
        before, self._at = self._at, time.monotonic()
        self.running_s += 0.0 if paused else self._at - before


def _pause_or_resume(dataplane: Dataplane, *, pause: bool) -> None:
    if pause:
        dataplane.pause_capture()
        log.info("the capture is paused; sessions go on with what they have", resume="SIGUSR2")
    else:
        dataplane.resume_capture()
        log.info("the capture goes on")


def _position(progress: CaptureProgress) -> str:
    late = f", {progress.late / NANOSECONDS_PER_S:.1f} s late" if progress.late > NANOSECONDS_PER_S else ""
    state = " paused" if progress.paused else late
    turn = f"{min(progress.repeat + 1, progress.repeats)}/{progress.repeats} "
    return f"{turn if progress.repeats > 1 else ''}at {progress.position / NANOSECONDS_PER_S:,.1f} s{state}"


def _bar() -> Progress:
    """On a terminal alone."""
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
