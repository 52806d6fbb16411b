"""A table of counters that updates itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.table import Table

from dataplane.binding import COUNTERS, CounterKind

if TYPE_CHECKING:
    from collections.abc import Callable

FOLLOWED = (
    "mirror_frames",
    "mirror_accepted",
    "connections_live",
    "sessions_opened",
    "sessions_established",
    "sessions_live",
    "turns_sent",
    "sent_frames",
    "sent_payload",
    "retransmits",
    "test_frames",
    "request_bytes_acked",
    "answer_bytes",
)
REASONS = {CounterKind.DROP_MIRROR, CounterKind.DROP_TEST, CounterKind.SESSION_END}
RATE_OVER_S = 1.0


class Live:
    """Shows the counters that ``read`` returns, with rates over the last second."""

    def __init__(self, title: str, read: Callable[[], dict[str, int]]) -> None:
        self.title = title
        self.read = read
        self._history: list[tuple[float, dict[str, int]]] = []

    def __rich__(self) -> Table:
        now, values = time.monotonic(), self.read()
        self._history.append((now, values))
        while len(self._history) > 1 and now - self._history[1][0] >= RATE_OVER_S:
            self._history.pop(0)
        return draw(self.title, values, self._rates(now, values))

    def _rates(self, now: float, values: dict[str, int]) -> dict[str, float]:
        then, old = self._history[0]
        if now <= then:
            return {}
        return {name: (value - old.get(name, 0)) / (now - then) for name, value in values.items()}


def draw(title: str, values: dict[str, int], rates: dict[str, float]) -> Table:
    """The main counters, and every reason that was counted."""
    table = Table(title=title, min_width=60)
    table.add_column("counter")
    for heading in ("value", "per second"):
        table.add_column(heading, justify="right")
    for counter in COUNTERS:
        value = values.get(counter.name, 0)
        if counter.name in FOLLOWED or (counter.kind in REASONS and value):
            rate = "" if counter.kind is CounterKind.GAUGE else f"{rates.get(counter.name, 0):,.0f}"
            table.add_row(counter.name, f"{value:,}", rate)
    return table
