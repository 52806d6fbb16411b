"""Uploaded capture files, as settings: where they are kept, and how much of them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from appliance.settings.model import AbsolutePath, Model


class Captures(Model):
    """Capture files that are uploaded over REST and replayed by the engine."""

    directory: AbsolutePath = Field(
        default=Path("/var/lib/xdpcopy/api/captures"),
        description="Folder of the files; the api writes it, the engine reads it.",
    )
    max_bytes: int = Field(default=1 << 30, ge=1 << 10, description="Largest upload accepted.")
    total_bytes: int = Field(
        default=10 << 30, ge=1 << 10, description="Largest total size of all files; more is refused."
    )
