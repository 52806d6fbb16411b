"""Files that are written completely and durably, or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = -1  # leaves the owner or group as it is


def write_whole(path: Path, text: str, *, mode: int = 0o644, user: int = NOBODY, group: int = NOBODY) -> None:
    """Replaces the file. Once this returns, no crash of the machine can lose it. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(create(new, mode=mode, user=user, group=group), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


def create(path: Path, *, mode: int, user: int = NOBODY, group: int = NOBODY) -> int:
    """Creates an empty file with this mode, whatever the umask; its descriptor. Raises OSError."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.fchown(number, user, group)
    os.fchmod(number, mode)
    return number


def sync(folder: Path) -> None:
    """Makes renames and removals in the folder durable. Raises OSError."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
