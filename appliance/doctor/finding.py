"""Findings, one function for each verdict."""

from __future__ import annotations

from appliance.contract.doctor import Finding, Verdict


def ok(check: str, result: str) -> Finding:
    """All is well."""
    return Finding(id=check, verdict=Verdict.OK, result=result)


def skipped(check: str, why: str) -> Finding:
    """The check could not be made."""
    return Finding(id=check, verdict=Verdict.SKIPPED, result=why)


def warning(check: str, result: str, cause: str, cure: str) -> Finding:
    """Replay works, but not as it should."""
    return Finding(id=check, verdict=Verdict.WARNING, result=result, cause=cause, cure=cure)


def fault(check: str, result: str, cause: str, cure: str) -> Finding:
    """Replay would not work, or not be safe."""
    return Finding(id=check, verdict=Verdict.FAULT, result=result, cause=cause, cure=cure)
