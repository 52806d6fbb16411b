"""What is known about an uploaded capture file."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

CaptureId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class Capture(BaseModel):
    """A capture file. ``cut_frames``: frames stored shorter than they were; their sessions end at the gap.

    ``first_at`` and ``last_at``: seconds since 1970. ``trouble``: why the rest cannot be read; empty: all of
    it can.
    """

    model_config = ConfigDict(frozen=True)

    id: CaptureId
    name: str
    bytes: int
    sha256: str
    format: str
    link: str
    frames: int
    cut_frames: int
    first_at: float
    last_at: float
    duration_s: float
    truncated: bool
    trouble: str
    uploaded_at: float
    uploaded_by: str
