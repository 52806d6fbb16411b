"""The counters of a running engine, read from its stats segment by any process that may read the file."""

from __future__ import annotations

import fcntl
import mmap
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import MachineError
from dataplane.binding import Segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STALE_S = 3.0


@dataclass(frozen=True)
class Reading:
    """All counters at one moment; ``age_s`` is the time since the slowest worker last gave a sign of life."""

    counters: dict[str, int]
    age_s: float

    @property
    def stale(self) -> bool:
        """A worker hangs, or the engine was killed."""
        return self.age_s > STALE_S


class StatsFile:
    """A mapped stats segment; stays readable when the engine is gone."""

    def __init__(self, path: Path) -> None:
        """Raises MachineError if nothing is there, DataplaneError if another version wrote it."""
        try:
            with path.open("rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise MachineError(
                f"no engine writes its counters to {path} ({error}); start one with xdpcopy run, or give the"
                " path that it uses with --stats"
            ) from error
        self._segment = Segment(memoryview(memory))

    def read(self) -> Reading:
        """The counters now."""
        beats = [self._segment.heartbeat(worker) for worker in range(self._segment.workers)]
        return Reading(self._segment.counters(), (time.monotonic_ns() - min(beats)) / 1e9)


@contextmanager
def claim(path: Path) -> Iterator[None]:
    """The file is this process's as long as it lives: two engines must not write to one.

    Raises MachineError if another engine has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(
                f"another engine writes its counters to {path}; stop it, or give this one another path: stats"
                " in the configuration, --stats on the command line"
            ) from None
        yield
