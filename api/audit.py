"""The audit log: one line of JSON per requested change, and per refused token."""

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
    """Who asked for what, the state before and after, and the resulting HTTP status."""

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
    """The append-only file. A request is answered once its line is on disk."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if the file cannot be written."""
        self.path = path
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, **what: Any) -> None:  # noqa: ANN401 - the fields of an entry
        """Append an entry."""
        line = Entry(at=time.time(), **what).model_dump_json() + "\n"
        with self._lock:
            os.write(self._file, line.encode())
            os.fsync(self._file)

    def last(self, limit: int) -> list[Entry]:
        """The latest entries, newest first."""
        with self.path.open() as file:
            lines = deque(file, limit)
        return [Entry.model_validate(json.loads(line)) for line in reversed(lines)]
