"""Files that the appliance makes and keeps, as settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from appliance.settings.transfer import Model

MAX_PATH = 255


def _path(value: Path) -> Path:
    if not value.is_absolute() or len(str(value).encode()) > MAX_PATH:
        raise ValueError(f"'{value}' cannot be used; give an absolute path of at most {MAX_PATH} bytes")
    return value


AbsolutePath = Annotated[Path, AfterValidator(_path)]


class Control(Model):
    """The engine's control socket, and where changes made through it are kept."""

    socket: AbsolutePath = Field(
        default=Path("/run/xdpcopy/control.sock"),
        description="Unix socket at which xdpcopy engine is asked and told.",
    )
    group: str = Field(
        default="", description="Group whose members may use the socket; empty: the engine's own group."
    )
    state: AbsolutePath = Field(
        default=Path("/var/lib/xdpcopy/state.json"),
        description="File of the transfers as they were last changed. While it is there, the transfers above"
        " do not count for xdpcopy engine.",
    )


class Captures(Model):
    """Capture files that the api is given, and that the engine replays when it is asked to."""

    directory: AbsolutePath = Field(
        default=Path("/var/lib/xdpcopy/api/captures"),
        description="Folder of the files; the api writes there, the engine reads.",
    )
    max_bytes: int = Field(
        default=1 << 30, ge=1 << 10, description="Largest file that is taken; more is refused."
    )
    total_bytes: int = Field(
        default=10 << 30, ge=1 << 10, description="Most that all files together may have; more is refused."
    )
