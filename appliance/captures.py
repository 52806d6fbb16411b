"""The library of uploaded capture files. An upload is accepted whole and readable, or not at all.

``ID.pcap`` is a file, ``ID.json`` what is known about it; a file without ``ID.json`` is ignored, and removed
at the next start. The api writes the folder; the engine opens files by id.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import structlog
from pydantic import ValidationError

from appliance.contract.base import ErrorKind, Problem, refused
from appliance.contract.captures import Capture
from appliance.durable import create, sync, write_whole
from dataplane.binding import DataplaneError, inspect_capture

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from appliance.settings.captures import Captures

log = structlog.get_logger()

SECOND = 1_000_000_000
MODE = 0o640  # the api writes, the engine reads as a member of the group
PCAPNG = b"\x0a\x0d\x0d\x0a"
# The link types that capture_file.c knows (libpcap's DLT_… on Linux).
LINKS = {
    0: "loopback (NULL)",
    1: "Ethernet",
    12: "raw IP",
    108: "loopback (LOOP)",
    113: "Linux cooked v1",
    228: "IPv4",
    229: "IPv6",
    276: "Linux cooked v2",
}


class Library:
    """The folder of the files. Any thread may use it, but only one process writes it.

    ``group`` may read the files. The folder is created on first use.
    """

    def __init__(self, settings: Captures, group: int = -1) -> None:
        self.settings = settings
        self._group = group
        self._lock = threading.Lock()
        self._receiving = 0
        self._known: dict[str, Capture] | None = None

    def all(self) -> list[Capture]:
        """The captures, oldest first. Raises OSError."""
        with self._lock:
            return sorted(self._read().values(), key=lambda one: (one.uploaded_at, one.id))

    def get(self, name: str) -> Capture:
        """One capture, by id. Raises ControlError."""
        with self._lock:
            return self._find(name)

    def delete(self, name: str) -> Capture:
        """Deletes a capture durably. Raises ControlError."""
        with self._lock:
            found = self._find(name)
            for ending in ("json", "pcap"):
                (self.settings.directory / f"{name}.{ending}").unlink(missing_ok=True)
            sync(self.settings.directory)
            del self._read()[name]
            return found

    def incoming(self, name: str, who: str) -> Incoming:
        """An upload about to begin."""
        with self._lock:
            self._read()
        return Incoming(self, name, who)

    def reserve(self, size: int) -> None:
        """Reserves room for uploaded bytes; a negative size gives it back. Raises ControlError."""
        with self._lock:
            held = sum(one.bytes for one in self._read().values()) + self._receiving
            if size > 0 and held + size > self.settings.total_bytes:
                raise refused(
                    ErrorKind.NO_ROOM,
                    f"captures may use {self.settings.total_bytes:,} bytes in total; delete some, or raise"
                    " captures.total_bytes in the configuration",
                )
            self._receiving += size

    def add(self, path: Path, made: Capture) -> tuple[Capture, bool]:
        """Keeps an inspected file, and says whether it is new: the same bytes are not kept twice."""
        folder = self.settings.directory
        with self._lock:
            known = self._read()
            same = next((one for one in known.values() if one.sha256 == made.sha256), None)
            if same is not None:
                return same, False
            path.rename(folder / f"{made.id}.pcap")
            write_whole(
                folder / f"{made.id}.json", made.model_dump_json(indent=2), mode=MODE, group=self._group
            )
            known[made.id] = made
            return made, True

    def new_file(self, ending: str) -> tuple[str, Path, int]:
        """A new id, with the path and the descriptor of an empty file for it."""
        name = secrets.token_hex(8)
        path = self.settings.directory / f"{name}.{ending}"
        return name, path, create(path, mode=MODE, group=self._group)

    def _find(self, name: str) -> Capture:
        found = self._read().get(name)
        if found is None:
            raise refused(
                ErrorKind.NOT_FOUND, f"there is no capture '{name}'; list the captures to see which there are"
            )
        return found

    def _read(self) -> dict[str, Capture]:
        """The captures in the folder. The first call removes what an interrupted upload or deletion left."""
        if self._known is None:
            folder = self.settings.directory
            if not folder.is_dir():
                folder.mkdir(parents=True)
                os.chown(folder, -1, self._group)
                folder.chmod(0o750)
            known = {}
            for path in folder.glob("*.json"):
                with suppress(ValidationError):
                    one = Capture.model_validate_json(path.read_bytes())
                    if (folder / f"{one.id}.pcap").exists():
                        known[one.id] = one
            for path in (*folder.glob("*.pcap"), *folder.glob("*.part"), *folder.glob("*.new")):
                if path.stem not in known:
                    path.unlink()
            self._known = known
        return self._known


class Incoming:
    """An upload; a context manager that leaves nothing behind unless ``finish`` was called."""

    def __init__(self, library: Library, name: str, who: str) -> None:
        self._library = library
        self._name = name
        self._who = who
        self._hash = hashlib.sha256()
        self._head = b""
        self._size = 0

    def __enter__(self) -> Self:
        """Raises OSError."""
        self._id, self._path, number = self._library.new_file("part")
        self._file = os.fdopen(number, "wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._library.reserve(-self._size)

    def write(self, data: bytes) -> None:
        """Appends data. Raises ControlError if the file gets too large, and OSError."""
        most = self._library.settings.max_bytes
        if self._size + len(data) > most:
            raise refused(
                ErrorKind.TOO_LARGE,
                f"a capture may have {most:,} bytes; split it (editcap -c), or raise captures.max_bytes in"
                " the configuration",
            )
        self._library.reserve(len(data))
        self._size += len(data)
        self._hash.update(data)
        self._head = self._head or data[:4]
        self._file.write(data)

    def finish(self) -> tuple[Capture, bool]:
        """Inspects and keeps the file, and says whether it is new. Raises ControlError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._library.add(self._path, self._look())

    def _look(self) -> Capture:
        try:
            found = inspect_capture(str(self._path))
        except DataplaneError as error:
            raise self._unusable(str(error.strerror)) from error
        trouble = found.trouble.replace(str(self._path), "the file")
        if not found.frames:
            raise self._unusable(trouble or "the file has no frames; record some traffic first")
        first, last = found.first / SECOND, found.last / SECOND
        return Capture(
            id=self._id,
            name=self._name,
            bytes=found.bytes,
            sha256=self._hash.hexdigest(),
            format="pcapng" if self._head == PCAPNG else "pcap",
            link=LINKS.get(found.link, str(found.link)),
            frames=found.frames,
            cut_frames=found.cut,
            first_at=first,
            last_at=last,
            duration_s=(found.last - found.first) / SECOND,
            truncated=bool(found.cut or trouble),
            trouble=trouble,
            uploaded_at=time.time(),
            uploaded_by=self._who,
        )

    def _unusable(self, reason: str) -> Exception:
        sentence = reason.replace(str(self._path), "the file")
        return refused(ErrorKind.INVALID, sentence, Problem(field="body", message=sentence))


def for_replay(settings: Captures, name: str) -> tuple[Path, Capture]:
    """The path of a capture that this process can read, and its description. Raises ControlError."""
    path = settings.directory / f"{name}.pcap"
    try:
        found = Capture.model_validate_json((settings.directory / f"{name}.json").read_bytes())
        os.close(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC))
    except (FileNotFoundError, ValidationError):
        raise refused(ErrorKind.NOT_FOUND, f"there is no capture '{name}' in {settings.directory}") from None
    except OSError as error:
        raise refused(
            ErrorKind.UNAVAILABLE,
            f"the engine cannot read {path} ({error.strerror}); set control.group to a group that both"
            " processes belong to",
        ) from error
    return path, found
