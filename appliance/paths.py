"""Files that the appliance makes and keeps, as settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from appliance.transfers import Model

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
