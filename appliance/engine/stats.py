"""The counters of a running engine, read from its stats segment by any process that may read the file."""

from __future__ import annotations

import fcntl
import mmap
import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from appliance.contract.observed import Distribution
from appliance.errors import MachineError
from dataplane.binding import BOUNDS, COUNTERS, CounterKind, Segment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dataplane.binding import Histogram, Side

STALE_S = 3.0
NANOSECONDS_PER_S = 1e9
MEANINGS = {each.name: each.help for each in COUNTERS}
GAUGES = frozenset(each.name for each in COUNTERS if each.kind is CounterKind.GAUGE)


@dataclass(frozen=True)
class Reading:
    """All counters at one moment. ``age_s`` is the age of the oldest worker's heartbeat."""

    counters: dict[str, int]
    age_s: float

    @property
    def stale(self) -> bool:
        """Whether a worker hangs or the engine was killed."""
        return self.age_s > STALE_S


def distribution(found: Histogram) -> Distribution:
    """Percentiles are upper bounds of buckets: at most an eighth too high, never above the maximum."""
    count = sum(found.buckets)
    reached = list(accumulate(found.buckets))
    most = found.most / NANOSECONDS_PER_S

    def percentile(share: float) -> float:
        if not count:
            return 0.0
        index = next(at for at, below in enumerate(reached) if below >= share * count)
        return min(most, BOUNDS[index] / NANOSECONDS_PER_S)

    return Distribution(
        count=count,
        sum_s=found.sum / NANOSECONDS_PER_S,
        p50_s=percentile(0.5),
        p90_s=percentile(0.9),
        p99_s=percentile(0.99),
        p999_s=percentile(0.999),
        max_s=most,
        buckets=tuple(
            (bound / NANOSECONDS_PER_S, n) for bound, n in zip(BOUNDS, found.buckets, strict=True) if n
        ),
    )


def rates(before: dict[str, int], now: dict[str, int], seconds: float) -> str:
    """What happened between two readings, in one line."""

    def rate(name: str) -> str:
        return f"{(now[name] - before[name]) / max(seconds, 1e-9):,.0f}/s"

    return (
        f"mirror {rate('mirror_frames')} · sent {rate('sent_frames')} · answers {rate('test_frames')}"
        f" · requests {rate('turns_sent')} · sessions {now['sessions_live']:,} live,"
        f" {now['sessions_opened']:,} opened · again {now['retransmits']:,}"
    )


class StatsFile:
    """A mapped stats segment. It stays readable after the engine has gone."""

    def __init__(self, path: Path) -> None:
        """Raises MachineError if there is none, DataplaneError if another version wrote it."""
        try:
            with path.open("rb") as file:
                memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise MachineError(
                f"no engine writes its counters to {path} ({error}); start one with xdpcopy run, or give the"
                " engine's path with --stats"
            ) from error
        self._segment = Segment(memoryview(memory))

    def read(self) -> Reading:
        """The counters now."""
        return Reading(self._segment.counters(), max(self.ages()))

    def ages(self) -> tuple[float, ...]:
        """Seconds since each worker's last heartbeat."""
        now = time.monotonic_ns()
        beats = (self._segment.heartbeat(worker) for worker in range(self._segment.workers))
        return tuple((now - beat) / 1e9 for beat in beats)

    def by_worker(self) -> tuple[dict[str, int], ...]:
        """The counters of each worker."""
        return tuple(self._segment.counters(worker) for worker in range(self._segment.workers))

    def transfer(self, slot: int) -> dict[str, int]:
        """The counters of the transfer in this slot (``TransferStatus.slot``)."""
        return self._segment.transfer(slot)

    def answer_times(self, slot: int, side: Side) -> Distribution:
        """How long the transfer's target, or production, took to answer."""
        return distribution(self._segment.answer_times(slot, side))


@contextmanager
def claim(
    path: Path,
    use: str = "writes its counters to",
    cure: str = "stats in the configuration, --stats on the command line",
) -> Iterator[None]:
    """Locks the file for the life of this process, because two engines must not share one.

    Raises MachineError if another engine has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(
                f"another engine {use} {path}; stop it, or give this one another path: {cure}"
            ) from None
        yield
