"""The audit log: a line of JSON for every change that was asked for, and for every refused token."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from pathlib import Path


class Entry(BaseModel):
    """Who asked for what, what was there before and after, and the HTTP status that it came to."""

    at: float
    who: str
    role: str
    address: str
    method: str
    path: str
    before: Any = None
    after: Any = None
    status: int


class Audit:
    """The file, which is only ever appended to; each line is on the disk before its request is answered."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if it cannot be written."""
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, **what: Any) -> None:  # noqa: ANN401 - the fields of an entry
        """One line."""
        line = Entry(at=time.time(), **what).model_dump_json() + "\n"
        with self._lock:
            os.write(self._file, line.encode())
            os.fsync(self._file)

    def last(self, limit: int) -> list[Entry]:
        """The newest entries, the newest first."""
        with self.path.open() as file:
            lines = deque(file, limit)
        return [Entry.model_validate(json.loads(line)) for line in reversed(lines)]
