"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """fault: replay would not work, or would not be safe. warning: it works, and not as it seems."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """``id`` names the check and stays the same; cause and cure are empty where all is well."""

    id: str
    verdict: Verdict
    result: str
    cause: str = ""
    cure: str = ""


def ok(check: str, result: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, result)


def skipped(check: str, why: str) -> Finding:
    """It could not be looked at."""
    return Finding(check, Verdict.SKIPPED, why)


def warning(check: str, result: str, cause: str, cure: str) -> Finding:
    """Replay works, but not as it seems."""
    return Finding(check, Verdict.WARNING, result, cause, cure)


def fault(check: str, result: str, cause: str, cure: str) -> Finding:
    """Replay would not work, or would not be safe."""
    return Finding(check, Verdict.FAULT, result, cause, cure)
