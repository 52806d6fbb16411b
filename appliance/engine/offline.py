"""A replay of captures, seen from whoever starts one: its signals and its outcome."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dataplane.binding import CaptureProgress

PAUSE, RESUME = signal.SIGUSR1, signal.SIGUSR2
AS_RECORDED = ("complete", "client_reset", "capture_ended")


@dataclass(frozen=True)
class Outcome:
    """What was replayed, and its ledger."""

    progress: CaptureProgress
    troubles: dict[str, str]
    ledger: dict[str, Any]

    @property
    def closes(self) -> bool:
        """Whether the ledger closes."""
        return bool(self.ledger["closes"])


def summary(outcome: Outcome, files: int) -> Iterator[str]:
    """The outcome in five or more lines."""
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
