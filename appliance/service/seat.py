"""Who has the ports: the live engine, or for a while something else that needs them for itself.

An AF_XDP queue and a device's XDP program have one owner. A job asks for the ports in a control thread; the
main thread lets nobody ask the engine any more, waits for those who do, closes it, runs the job, and opens
the engine again.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from appliance.contract.base import ErrorKind, refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAKE = signal.SIGUSR2  # the main thread holds it, and looks when it comes


class Job(Protocol):
    """What has the ports for a while."""

    why: str
    """A sentence for those who ask the engine meanwhile."""

    def run(self, wait: Callable[[float], bool]) -> bool:
        """In the main thread, to its end; ``wait`` for seconds. Both say False when the engine is to stop."""


class Seat:
    """The ports. Any thread may ask; the main thread alone takes and gives back."""

    def __init__(self) -> None:
        """Nobody may ask yet: the engine is not open."""
        self._changed = threading.Condition()
        self._asking = 0
        self._closed = "the engine is starting; ask again in a moment"
        self.job: Job | None = None

    @property
    def closed(self) -> str:
        """Why the engine cannot be asked; empty: it can."""
        with self._changed:
            return self._closed

    @contextmanager
    def held(self) -> Iterator[None]:
        """The engine stays open meanwhile. Raises ControlError where it is not."""
        with self._changed:
            if self._closed:
                raise refused(ErrorKind.UNAVAILABLE, self._closed)
            self._asking += 1
        try:
            yield
        finally:
            with self._changed:
                self._asking -= 1
                self._changed.notify_all()

    def ask(self, job: Job) -> None:
        """The job runs as soon as nobody asks the engine. Raises ControlError where the ports are taken."""
        with self._changed:
            if self._closed or self.job is not None:
                raise refused(ErrorKind.CONFLICT, self._closed or "the ports are taken already")
            self.job, self._closed = job, job.why
        os.kill(os.getpid(), WAKE)

    def open(self) -> None:
        """The engine is open, and can be asked."""
        with self._changed:
            self.job, self._closed = None, ""

    def close(self) -> None:
        """Returns when nobody asks the engine any more."""
        with self._changed:
            self._closed = self._closed or "the engine is stopping"
            self._changed.wait_for(lambda: not self._asking)
