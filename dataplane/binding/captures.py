"""Capture files: what one holds, and how far their replay has got."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dataplane._dataplane import ffi, lib
from dataplane.binding.errors import checked


@dataclass(frozen=True)
class CaptureProgress:
    """How far the replay of capture files has got (``struct dp_capture_progress``)."""

    bytes: int
    bytes_total: int
    frames: int
    position: int
    late: int
    repeat: int
    repeats: int
    broken: int
    paused: bool
    finished: bool


@dataclass(frozen=True)
class CaptureFacts:
    """What a capture file holds (``struct dp_capture_facts``); times in nanoseconds since 1970."""

    bytes: int
    frames: int
    cut: int
    first: int
    last: int
    link: int
    trouble: str


def inspect_capture(path: str) -> CaptureFacts:
    """Reads a capture file to its end. Raises DataplaneError for what cannot be replayed."""
    found = ffi.new("struct dp_capture_facts *")
    checked(lambda error, size: lib.dp_capture_inspect(os.fsencode(path), found, error, size))
    fields = {name: getattr(found, name) for name in CaptureFacts.__dataclass_fields__}
    return CaptureFacts(**{**fields, "trouble": ffi.string(found.trouble).decode(errors="replace")})
