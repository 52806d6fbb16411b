"""Counters: what there is, and their values in a stats segment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from dataplane._dataplane import ffi, lib
from dataplane.binding.errors import DataplaneError

if TYPE_CHECKING:
    from collections.abc import Callable


class CounterKind(IntEnum):
    """How a counter is to be read."""

    COUNTER = lib.DP_COUNTER
    GAUGE = lib.DP_GAUGE
    DROP_MIRROR = lib.DP_DROP_MIRROR
    DROP_TEST = lib.DP_DROP_TEST
    SESSION_END = lib.DP_SESSION_END


@dataclass(frozen=True)
class Counter:
    """One entry of ``observe/stats.def``."""

    index: int
    name: str
    unit: str
    help: str
    kind: CounterKind


class Side(IntEnum):
    """Whose answer times."""

    TARGET = lib.DP_SIDE_TARGET
    PRODUCTION = lib.DP_SIDE_PRODUCTION


@dataclass(frozen=True)
class Histogram:
    """Times in nanoseconds: ``buckets[i]`` were below ``BOUNDS[i]``, and not below the bound before."""

    sum: int
    most: int
    buckets: tuple[int, ...]


def _counters(count: int, describe: Callable[[int], Any]) -> tuple[Counter, ...]:
    def one(index: int) -> Counter:
        info = describe(index)
        name, unit, text = (ffi.string(s).decode() for s in (info.name, info.unit, info.help))
        return Counter(index, name, unit, text, CounterKind(info.kind))

    return tuple(one(index) for index in range(count))


COUNTERS = _counters(lib.dp_counter_count(), lib.dp_counter_info)
TRANSFER_COUNTERS = _counters(lib.dp_transfer_counter_count(), lib.dp_transfer_counter_info)
SCHEMA = f"{lib.dp_schema():016x}"
BOUNDS = tuple(int(lib.dp_bucket_bound(bucket)) for bucket in range(lib.DP_BUCKETS))


class Segment:
    """The stats segment of an engine in another process, read from a mapping of its file."""

    def __init__(self, memory: Any) -> None:  # noqa: ANN401 - whatever has a buffer
        """Raises DataplaneError if the memory was not written by this version."""
        self._memory = ffi.from_buffer(memory)
        workers = ffi.new("uint32_t *")
        code = lib.dp_segment_check(self._memory, len(memory), workers)
        if code:
            raise DataplaneError(-code, "the stats segment was written by another version of xdpcopy")
        self.workers: int = workers[0]

    def counters(self, worker: int | None = None) -> dict[str, int]:
        """As Dataplane.counters."""
        workers = range(self.workers) if worker is None else (worker,)
        value = lib.dp_segment_value
        return {c.name: sum(value(self._memory, w, c.index) for w in workers) for c in COUNTERS}

    def transfer(self, transfer: int) -> dict[str, int]:
        """What is counted for the transfer at this index, summed over all workers."""
        value, workers = lib.dp_segment_transfer_value, range(self.workers)
        return {
            c.name: sum(value(self._memory, w, transfer, c.index) for w in workers) for c in TRANSFER_COUNTERS
        }

    def answer_times(self, transfer: int, side: Side) -> Histogram:
        """From the last byte of a request to the first of its answer, all workers together."""
        total, most, buckets = 0, 0, [0] * len(BOUNDS)
        one = ffi.new("struct dp_histogram *")
        for worker in range(self.workers):
            lib.dp_segment_answer_time(self._memory, worker, transfer, side, one)
            total, most = total + one.sum, max(most, one.most)
            buckets = [a + b for a, b in zip(buckets, one.buckets, strict=True)]
        return Histogram(total, most, tuple(buckets))

    def heartbeat(self, worker: int) -> int:
        """The worker's clock (nanoseconds, CLOCK_MONOTONIC) at its last housekeeping."""
        return int(lib.dp_segment_heartbeat(self._memory, worker))
