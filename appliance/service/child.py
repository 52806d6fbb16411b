"""One replay of captures: the process ``xdpcopy replay``, run by the main thread while it has the ports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
import yaml

from appliance.contract.replays import ReplayProgress, ReplayState
from appliance.engine.offline import PAUSE, RESUME, Outcome, summary
from appliance.engine.stats import NANOSECONDS_PER_S, StatsFile
from appliance.errors import MachineError
from dataplane.binding import CaptureProgress, DataplaneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from appliance.contract.captures import Capture
    from appliance.contract.replays import Replay, ReplayOptions
    from appliance.settings.config import Config

log = structlog.get_logger()

# Ends with the engine, however that ends.
PROGRAM = ("setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "appliance.cli")
LOOK_S = 0.1
STOP_TIMEOUT_S = 3.0
LAST_WORDS = 500


@dataclass(frozen=True)
class Owner:
    """What a child needs of the list of replays."""

    check: Callable[[], None]
    """Raises ControlError where the ports are needed for live traffic."""
    note: Callable[..., Any]
    """Records fields of the Replay of this id."""


class Child:
    """One replay, and its process: a job of the seat."""

    def __init__(
        self,
        replay: Replay,
        files: Sequence[tuple[Path, Capture]],
        config: Config,
        paths: Mapping[str, Path],
        owner: Owner,
    ) -> None:
        """``paths`` by ending (``replays.ENDINGS``)."""
        self.replay = replay.id
        self.why = f"replay '{replay.id}' of captures has the ports; wait for its end, or cancel it"
        self.ended = threading.Event()
        self._options = replay.options
        self._files = [str(path) for path, _ in files]
        self._span_s = max(one.last_at for _, one in files) - min(one.first_at for _, one in files)
        self._config = config
        self._paths = paths
        self._owner = owner
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._cancelled = ""

    def run(self, wait: Callable[[float], bool]) -> bool:
        """Runs the process to its end; see ``seat.Job``."""
        stay = True
        try:
            self._start()
            while self._is_running():
                if stay and not wait(LOOK_S):
                    stay = False
                    self.cancel("the engine was stopped")
            self._conclude()
        except Exception as error:  # a replay must not end the engine
            if not isinstance(error, (MachineError, OSError)):
                log.exception("a replay failed", replay=self.replay)
            state = ReplayState.CANCELLED if self._cancelled else ReplayState.FAILED
            self._end(state, self._cancelled or str(error))
        finally:
            self.ended.set()
        return stay

    def pause(self, *, paused: bool) -> bool:
        """Pauses or resumes it. False: it has not started yet."""
        with self._lock:
            if self._process is None:
                return False
            self._process.send_signal(PAUSE if paused else RESUME)
            return True

    def cancel(self, reason: str) -> None:
        """Resets every session and ends; a child that has not started never will."""
        with self._lock:
            self._cancelled = self._cancelled or reason
            if self._process is not None:
                self._process.terminate()
                threading.Thread(target=self._force, args=(self._process,), daemon=True).start()

    def progress(self) -> ReplayProgress:
        """The newest progress it has reported."""
        try:
            said = json.loads(self._paths["progress"].read_text())
        except (OSError, ValueError):
            return ReplayProgress(repeats=self._options.repeats)
        return progress(said, self._counters(), self._options, self._span_s)

    def _start(self) -> None:
        self._owner.check()  # a transfer may have been created since the request
        data = {**self._config.model_dump(mode="json"), "api": None}
        self._paths["yaml"].write_text(yaml.safe_dump(data))
        with self._lock:
            if self._cancelled:
                raise MachineError(self._cancelled)
            nothing = subprocess.DEVNULL
            with self._paths["log"].open("wb") as log:
                self._process = subprocess.Popen(self._argv(), stdin=nothing, stdout=log, stderr=log)
        self._owner.note(self.replay, state=ReplayState.RUNNING, started_at=time.time())

    def _argv(self) -> list[str]:
        argv = [*PROGRAM, "replay", *self._files, *pace(self._options)]
        for option, ending in (
            ("--config", "yaml"),
            ("--ledger", "ledger"),
            ("--stats", "stats"),
            ("--progress", "progress"),
        ):
            argv += [option, str(self._paths[ending])]
        return argv

    def _is_running(self) -> bool:
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def _force(self, process: subprocess.Popen[bytes]) -> None:
        """Kills a process that does not end in time."""
        time.sleep(STOP_TIMEOUT_S)
        with self._lock, suppress(ProcessLookupError):
            if process.poll() is None:
                process.kill()

    def _conclude(self) -> None:
        """Turns its exit and its ledger into a state and a reason."""
        status = self._process.returncode if self._process else 1
        try:
            ledger = json.loads(self._paths["ledger"].read_text())
        except (OSError, ValueError):
            self._end(
                ReplayState.CANCELLED if self._cancelled else ReplayState.FAILED,
                self._cancelled or self._last_words(status),
            )
            return
        state, reason = ReplayState.DONE, ""
        if self._cancelled or not ledger["capture"]["finished"]:
            state, reason = ReplayState.CANCELLED, self._cancelled or "it was ended by a signal"
        elif not ledger["closes"]:
            state, reason = ReplayState.FAILED, "its ledger does not close; look at the equations there"
        told = self._summary(ledger)
        last = counted(self.progress(), ledger["counters"])
        self._end(state, reason, progress=last, closes=ledger["closes"], summary=tuple(told))

    def _summary(self, ledger: dict[str, Any]) -> list[str]:
        said = dict(ledger["capture"])
        troubles = said.pop("troubles")
        return list(summary(Outcome(CaptureProgress(**said), troubles, ledger), len(self._files)))

    def _end(self, state: ReplayState, reason: str, **more: Any) -> None:  # noqa: ANN401 - fields of Replay
        last = more.pop("progress", self.progress()).model_copy(update={"rest_s": None, "ends_at": None})
        ended = {"state": state, "reason": reason, "ended_at": time.time(), "progress": last}
        self._owner.note(self.replay, **ended, **more)

    def _last_words(self, status: int) -> str:
        """Why it failed, where it left no ledger."""
        with self._paths["log"].open(errors="replace") as file:
            lines = [line for line in file.read()[-LAST_WORDS:].splitlines() if line.strip()]
        if status < 0:
            return f"xdpcopy replay was ended by {signal.Signals(-status).name}"
        said = [line.removeprefix("xdpcopy: ") for line in lines if line.startswith("xdpcopy: ")] or lines[
            -1:
        ]
        return "; ".join(said) or f"xdpcopy replay ended with status {status}"

    def _counters(self) -> dict[str, int]:
        try:
            return StatsFile(self._paths["stats"]).read().counters
        except (MachineError, DataplaneError):
            return {}


def pace(options: ReplayOptions) -> list[str]:
    """The pace, as options of the command."""
    words = ["-T", str(options.repeats)]
    if options.fast:
        return [*words, "--fast"]
    idle = [] if options.idle_ms is None else ["-I", str(options.idle_ms)]
    return [*words, "-a", str(options.speed), *idle]


def progress(
    said: Mapping[str, Any], counters: Mapping[str, int], options: ReplayOptions, span_s: float
) -> ReplayProgress:
    """What a child reports, with an estimate of the rest.

    The estimate goes by capture time (``span_s`` in all) where the pace is the captures' own, else by bytes.
    """
    running, rest = said["running_s"], None
    if span_s > 0 and not options.fast and options.idle_ms is None:
        done = said["repeat"] + min(1.0, said["position"] / NANOSECONDS_PER_S / span_s)
        share = min(1.0, done / said["repeats"])
        rest = (1 - share) * said["repeats"] * span_s / options.speed
    else:
        share = min(1.0, said["bytes"] / max(said["bytes_total"], 1))
        rest = running * (1 - share) / share if share > 0 else None
    made = ReplayProgress(
        percent=100.0 if said["finished"] else min(99.9, 100 * share),
        position_s=said["position"] / NANOSECONDS_PER_S,
        late_s=said["late"] / NANOSECONDS_PER_S,
        running_s=running,
        rest_s=rest,
        ends_at=None if rest is None or said["paused"] else time.time() + rest,
        **{name: said[name] for name in ("frames", "bytes", "bytes_total", "repeat", "repeats")},
    )
    return counted(made, counters)


def counted(made: ReplayProgress, counters: Mapping[str, int]) -> ReplayProgress:
    """Adds what has been counted."""
    return made.model_copy(
        update={
            "sessions_live": counters.get("sessions_live", 0),
            "sessions_opened": counters.get("sessions_opened", 0),
            "requests": counters.get("turns_sent", 0),
            "answer_bytes": counters.get("answer_bytes", 0),
        }
    )
