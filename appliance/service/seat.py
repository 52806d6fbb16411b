"""Who has the ports: the live engine, or a job that needs them to itself for a while.

An AF_XDP queue and a device's XDP program have one owner. A control thread asks for the ports on behalf of a
job; the main thread then turns new requests away, waits for those under way, closes the engine, runs the job,
and opens the engine again.
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

WAKE = signal.SIGUSR2  # the main thread waits for it


class Job(Protocol):
    """Something that needs the ports to itself."""

    why: str
    """The answer to requests for the engine meanwhile."""

    def run(self, wait: Callable[[float], bool]) -> bool:
        """Runs to its end in the main thread; ``wait`` sleeps. Both return False if the engine is to stop."""


class Seat:
    """The ports. Any thread may ask for them; only the main thread opens and closes the engine."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asking = 0
        self._closed = "the engine is starting; ask again in a moment"
        self.job: Job | None = None

    @property
    def closed(self) -> str:
        """Why the engine cannot be used; empty: it can."""
        with self._changed:
            return self._closed

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the engine open. Raises ControlError if it is not."""
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
        """Queues the job until nobody uses the engine. Raises ControlError if the ports are taken."""
        with self._changed:
            if self._closed or self.job is not None:
                raise refused(ErrorKind.CONFLICT, self._closed or "the ports are taken already")
            self.job, self._closed = job, job.why
        os.kill(os.getpid(), WAKE)

    def open(self) -> None:
        """The engine is open for requests."""
        with self._changed:
            self.job, self._closed = None, ""

    def close(self) -> None:
        """Returns when the last request has left the engine."""
        with self._changed:
            self._closed = self._closed or "the engine is stopping"
            self._changed.wait_for(lambda: not self._asking)
