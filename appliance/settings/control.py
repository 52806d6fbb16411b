"""The engine's control socket, as settings."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from appliance.settings.model import AbsolutePath, Model

SOCKET = Path("/run/xdpcopy/control.sock")


class Control(Model):
    """The engine's control socket, and the file that keeps changes made through it."""

    socket: AbsolutePath = Field(
        default=SOCKET, description="Unix socket on which xdpcopy engine takes requests."
    )
    group: str = Field(
        default="", description="Group whose members may use the socket; empty: the engine's own group."
    )
    state: AbsolutePath = Field(
        default=Path("/var/lib/xdpcopy/state.json"),
        description="File of the transfers as last changed. While it exists, xdpcopy engine ignores the"
        " transfers above.",
    )
