"""Who uses the ports: the live engine, or for some time a job that needs them exclusively.

An AF_XDP queue and a device's XDP program have one owner. A control thread asks for the ports on behalf of a
job; the main thread then refuses further requests to the engine, waits for pending ones, closes the engine,
runs the job, and opens the engine again.
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

WAKE = signal.SIGUSR2  # blocked; the main thread waits for it


class Job(Protocol):
    """Work that needs the ports exclusively."""

    why: str
    """The answer to requests that need the engine while the job runs."""

    def run(self, wait: Callable[[float], bool]) -> bool:
        """Runs to its end in the main thread. ``wait`` sleeps; both return False if the engine must stop."""


class Seat:
    """Who uses the ports now. Any thread may ask for them; only the main thread opens and closes."""

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
        """Runs a job as soon as no request is pending. Raises ControlError if the ports are in use."""
        with self._changed:
            if self._closed or self.job is not None:
                raise refused(ErrorKind.CONFLICT, self._closed or "the ports are in use")
            self.job, self._closed = job, job.why
        os.kill(os.getpid(), WAKE)

    def open(self) -> None:
        """The engine is open, and takes requests."""
        with self._changed:
            self.job, self._closed = None, ""

    def close(self) -> None:
        """Returns when no request to the engine is pending."""
        with self._changed:
            self._closed = self._closed or "the engine is stopping"
            self._changed.wait_for(lambda: not self._asking)
