"""The signals that end a process or wake it: held from the start, and taken one at a time."""

from __future__ import annotations

import gc
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
TICK_S = 1.0


@contextmanager
def held_signals(signals: AbstractSet[signal.Signals]) -> Iterator[None]:
    """Blocked until somebody waits for them, so that none interrupts a start or a stop half-way."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ticks(*wake: signal.Signals) -> Iterator[None]:
    """One every TICK_S and one for each signal of ``wake``, until one of STOP_SIGNALS arrives.

    Garbage is collected after each tick. Python alone would wait until there is a quarter as much of it as
    the start has left, and the engine would seem to grow for an hour.
    """
    gc.collect()
    gc.freeze()
    try:
        while True:
            found = signal.sigtimedwait({*STOP_SIGNALS, *wake}, TICK_S)
            if found is not None and found.si_signo in STOP_SIGNALS:
                return
            yield
            gc.collect()
    finally:
        gc.unfreeze()
