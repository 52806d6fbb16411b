"""Calls to the doctor, and its findings."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from appliance.contract.base import Answer, Request


class Verdict(StrEnum):
    """fault: replay would not work, or not be safe. warning: it works, but not as it should."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


class Finding(Answer):
    """What one check found. ``id`` names the check; cause and cure are empty where all is well."""

    id: str
    verdict: Verdict
    result: str
    cause: str = ""
    cure: str = ""


class ExaminationState(StrEnum):
    """Where the newest examination is."""

    NEVER = "never"  # since the engine was started
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Examination(Answer):
    """The newest examination.

    ``probed`` true: each target was sent a SYN; false: the engine's counters were read instead.
    ``healthy``: no fault was found; null while it runs.
    """

    state: ExaminationState
    probed: bool = False
    listen_s: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    healthy: bool | None = None
    reason: str = ""
    findings: tuple[Finding, ...] = ()


class StartExamination(Request[Examination]):
    """Starts an examination.

    Unless live traffic is being replayed, the engine gives up the ports and each target is sent a SYN.
    """

    call: ClassVar[str] = "doctor.start"
    answer: ClassVar[type[Answer]] = Examination

    listen_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0


class GetExamination(Request[Examination]):
    """The newest examination."""

    call: ClassVar[str] = "doctor.get"
    answer: ClassVar[type[Answer]] = Examination
