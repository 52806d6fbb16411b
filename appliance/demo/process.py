"""``xdpcopy run`` or ``engine`` as a process in the lab's appliance namespace."""

from __future__ import annotations

import contextlib
import json
import mmap
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from dataplane.binding import DataplaneError, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from appliance.lab import Lab

PROGRAM = (sys.executable, "-m", "appliance.cli")
READY_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0
LOOK_S = 0.05
REST_LOOKS = 6


class Replay:
    """The engine's process; a context manager that starts it and waits until it is ready.

    ``arguments`` say what to replay where: ``-x …`` or ``--config …``.
    """

    def __init__(self, lab: Lab, directory: Path, arguments: Sequence[str]) -> None:
        self.lab = lab
        self.directory = directory
        self.arguments = tuple(arguments)
        self.command = "run"
        self.process: subprocess.Popen[bytes] | None = None
        self.stop_seconds = 0.0
        self._segment: Segment | None = None

    def __enter__(self) -> Replay:  # noqa: PYI034 - never subclassed
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def ledger_path(self) -> Path:
        """The ledger, written when it stops."""
        return self.directory / "ledger.json"

    @property
    def stats_path(self) -> Path:
        """The stats segment, there while it runs."""
        return self.directory / "stats"

    @property
    def log_path(self) -> Path:
        """Its standard error."""
        return self.directory / "xdpcopy.log"

    @property
    def output_path(self) -> Path:
        """Its standard output."""
        return self.directory / "xdpcopy.out"

    def start(self) -> None:
        """Starts it and waits for ``ready``."""
        self.directory.mkdir(parents=True, exist_ok=True)
        files = ("--ledger", str(self.ledger_path), "--stats", str(self.stats_path))
        argv = (*PROGRAM, self.command, *self.arguments, *files)
        with self.log_path.open("ab") as log, self.output_path.open("wb") as output:
            self.process = self.lab.exec("appliance", argv, stdout=output, stderr=log)
        try:
            self._wait_until_ready(self.process)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> int | None:
        """Stops it with SIGTERM, then SIGKILL. Its exit status; None if it was not running."""
        process, self.process, self._segment = self.process, None, None
        if process is None:
            return None
        start = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.stop_seconds = time.monotonic() - start
        return process.returncode

    def kill(self) -> None:
        """Kills it with SIGKILL, so it cannot clean up."""
        if self.process is not None:
            self.process.kill()
        self.stop()

    def counters(self) -> dict[str, int]:
        """Every counter; empty until the segment exists."""
        if self._segment is None:
            with contextlib.suppress(OSError, ValueError, DataplaneError), self.stats_path.open("rb") as file:
                self._segment = Segment(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        return self._segment.counters() if self._segment else {}

    def ledger(self) -> dict[str, Any]:
        """The ledger written when it stopped."""
        ledger: dict[str, Any] = json.loads(self.ledger_path.read_text())
        return ledger

    def settle(self, done: Callable[[dict[str, int]], bool], timeout: float) -> bool:
        """Waits until the counters satisfy ``done``; False after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not done(self.counters()):
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_S)
        return True

    def come_to_rest(self, timeout: float) -> bool:
        """Waits until all mirrored frames are in and no session is left; False if that takes too long.

        A worker may not have run yet when the traffic ends, so its frames must stay the same for a while.
        """
        still, frames = 0, -1

        def at_rest(counters: dict[str, int]) -> bool:
            nonlocal still, frames
            before, frames = frames, counters.get("mirror_frames", 0)
            still = still + 1 if frames == before and not counters.get("sessions_live") else 0
            return still == REST_LOOKS

        return self.settle(at_rest, timeout)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while "ready" not in self.output_path.read_text().splitlines():
            if process.poll() is not None or time.monotonic() > deadline:
                text = self.output_path.read_text() + self.log_path.read_text()
                raise RuntimeError(f"xdpcopy run does not become ready: {text.strip()}")
            time.sleep(0.02)
