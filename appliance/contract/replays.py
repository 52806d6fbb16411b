"""Calls about what has the ports for itself for a while: the replay of capture files, and the doctor."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from appliance.captures import CaptureId  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.contract.base import Answer, Request
from appliance.contract.observed import Ledger
from appliance.settings.transfer import Id, Model, Transfer

MAX_CAPTURES = 64  # DP_MAX_FILES
MAX_OWN_TRANSFERS = 64

# --- replays ----------------------------------------------------------------------------------------------


class ReplayState(StrEnum):
    """Where a replay is. The last three are ends."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


ENDED = frozenset({ReplayState.DONE, ReplayState.CANCELLED, ReplayState.FAILED})


class ReplayOptions(Model):
    """What is replayed where, and how fast."""

    captures: tuple[CaptureId, ...] = Field(
        min_length=1, max_length=MAX_CAPTURES, description="The captures, by id; merged by time."
    )
    transfers: tuple[Id, ...] = Field(
        default=(),
        max_length=MAX_OWN_TRANSFERS,
        description="By which transfers, by id, with their present settings, paused or not; empty: all.",
    )
    settings: tuple[Transfer, ...] = Field(
        default=(),
        max_length=MAX_OWN_TRANSFERS,
        description="By these settings of transfers instead, for this replay alone.",
    )
    speed: float = Field(
        default=1.0, ge=0.001, le=1e6, description="So many times as fast as recorded (tcpcopy's -a)."
    )
    idle_ms: float | None = Field(
        default=None,
        ge=0.001,
        le=1e9,
        description="Longer silences last so long (tcpcopy's -I); null: as recorded.",
    )
    repeats: int = Field(default=1, ge=1, le=1_000_000, description="How often everything is replayed.")
    fast: bool = Field(
        default=False, description="No pace: the next frame as soon as those before are dealt with."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.transfers and self.settings:
            raise ValueError("settings: give either transfers or settings")
        if self.fast and (self.speed != 1.0 or self.idle_ms is not None):
            raise ValueError("fast: it has no pace; leave out speed and idle_ms, or fast")
        return self


class ReplayProgress(Answer):
    """How far it is. ``rest_s`` and ``ends_at`` are estimates, of the bytes that are left; null: unknown yet.

    ``position_s``: capture time of the last frame, from the first. ``late_s``: for how long the next frame
    has been waiting for room. ``running_s`` does not count pauses.
    """

    percent: float = 0.0
    frames: int = 0
    bytes: int = 0
    bytes_total: int = 0
    position_s: float = 0.0
    late_s: float = 0.0
    repeat: int = 0
    repeats: int = 1
    running_s: float = 0.0
    rest_s: float | None = None
    ends_at: float | None = None
    sessions_live: int = 0
    sessions_opened: int = 0
    requests: int = 0
    answer_bytes: int = 0


class Replay(Answer):
    """A replay of captures. ``reason``: why it has failed or was cancelled. ``summary``: once it has ended.

    ``closes``: whether its ledger does; null while there is none.
    """

    id: Id
    state: ReplayState
    reason: str = ""
    options: ReplayOptions
    requested_at: float
    started_at: float | None = None
    ended_at: float | None = None
    progress: ReplayProgress = ReplayProgress()
    closes: bool | None = None
    summary: tuple[str, ...] = ()


class Replays(Answer):
    """All that are remembered, the newest first."""

    items: tuple[Replay, ...]


class ReplayChanged(Answer):
    """``changed`` false: it was so already."""

    replay: Replay
    changed: bool


class StartReplay(Request[ReplayChanged]):
    """Replays captures on the test port, for which no transfer may be replaying live traffic.

    ``replay`` is its id; empty: the engine gives one. Idempotent where an id is given.
    """

    call: ClassVar[str] = "replays.start"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id | None = None
    options: ReplayOptions


class ListReplays(Request[Replays]):
    """All replays."""

    call: ClassVar[str] = "replays.list"
    answer: ClassVar[type[Answer]] = Replays


class GetReplay(Request[Replay]):
    """One replay."""

    call: ClassVar[str] = "replays.get"
    answer: ClassVar[type[Answer]] = Replay

    replay: Id


class GetReplayLedger(Request[Ledger]):
    """The account of a replay that has ended."""

    call: ClassVar[str] = "replays.ledger"
    answer: ClassVar[type[Answer]] = Ledger

    replay: Id


class PauseReplay(Request[ReplayChanged]):
    """The clock of the captures stands still; sessions go on with what they have."""

    call: ClassVar[str] = "replays.pause"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


class ResumeReplay(Request[ReplayChanged]):
    """The clock goes on from where it stood."""

    call: ClassVar[str] = "replays.resume"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


class CancelReplay(Request[ReplayChanged]):
    """Resets every session and ends; answered when that is done."""

    call: ClassVar[str] = "replays.cancel"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


class DeleteReplay(Request[ReplayChanged]):
    """Forgets a replay that has ended."""

    call: ClassVar[str] = "replays.delete"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


# --- the doctor -------------------------------------------------------------------------------------------


class ExaminationState(StrEnum):
    """What the doctor does."""

    NEVER = "never"  # since the engine was started
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class CheckResult(Answer):
    """One check: its id, ok, warning, fault or skipped, what was found, cause and cure."""

    id: str
    verdict: str
    result: str
    cause: str = ""
    cure: str = ""


class Examination(Answer):
    """The newest examination.

    ``probed``: a SYN was sent to each target; else the engine's counters were read.
    ``healthy``: no fault among the findings; null before they are there.
    """

    state: ExaminationState
    probed: bool = False
    listen_s: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    healthy: bool | None = None
    reason: str = ""
    findings: tuple[CheckResult, ...] = ()


class StartExamination(Request[Examination]):
    """Begins. Where nothing is replayed live it has the ports for itself and sends a SYN to each target."""

    call: ClassVar[str] = "doctor.start"
    answer: ClassVar[type[Answer]] = Examination

    listen_s: Annotated[float, Field(ge=0.1, le=60)] = 5.0


class GetExamination(Request[Examination]):
    """The newest."""

    call: ClassVar[str] = "doctor.get"
    answer: ClassVar[type[Answer]] = Examination


CALLS: tuple[type[Request[Any]], ...] = (
    StartReplay,
    ListReplays,
    GetReplay,
    GetReplayLedger,
    PauseReplay,
    ResumeReplay,
    CancelReplay,
    DeleteReplay,
    StartExamination,
    GetExamination,
)
