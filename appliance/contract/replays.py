"""Calls about replays of capture files, for which the engine gives up the ports."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Self

from pydantic import Field, model_validator

from appliance.contract.base import Answer, Request
from appliance.contract.captures import CaptureId  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.contract.observed import Ledger
from appliance.settings.model import Id, Model
from appliance.settings.transfer import Transfer  # noqa: TC001 - as above
from dataplane.binding import MAX_CAPTURES, MAX_TRANSFERS


class ReplayState(StrEnum):
    """Where a replay is. The last three are final."""

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
        min_length=1, max_length=MAX_CAPTURES, description="The captures, by id, merged by time."
    )
    transfers: tuple[Id, ...] = Field(
        default=(),
        max_length=MAX_TRANSFERS,
        description="The transfers to use, by id, with their current settings, paused or not; empty: all.",
    )
    settings: tuple[Transfer, ...] = Field(
        default=(),
        max_length=MAX_TRANSFERS,
        description="Settings to use instead of transfers, for this replay only.",
    )
    speed: float = Field(
        default=1.0, ge=0.001, le=1e6, description="How many times as fast as recorded (tcpcopy's -a)."
    )
    idle_ms: float | None = Field(
        default=None,
        ge=0.001,
        le=1e9,
        description="Longest silence; longer ones are cut to it (tcpcopy's -I). null: as recorded.",
    )
    repeats: int = Field(default=1, ge=1, le=1_000_000, description="How many times to replay everything.")
    fast: bool = Field(
        default=False, description="As fast as possible: each frame as soon as the previous ones are handled."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.transfers and self.settings:
            raise ValueError("settings: give either transfers or settings, not both")
        if self.fast and (self.speed != 1.0 or self.idle_ms is not None):
            raise ValueError("fast: it ignores the recorded pace; leave out speed and idle_ms, or fast")
        return self


class ReplayProgress(Answer):
    """How far a replay is. ``rest_s`` and ``ends_at`` are estimates; null: not known yet.

    ``position_s``: capture time of the last frame, from the first. ``late_s``: how long the next frame has
    been waiting for room. ``running_s``: without pauses.
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
    """A replay of captures. ``reason``: why it failed or was cancelled. ``summary``: once it has ended.

    ``closes``: whether its ledger closes; null until there is one.
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
    """The replays the engine remembers, newest first."""

    items: tuple[Replay, ...]


class ReplayChanged(Answer):
    """``changed`` false: nothing had to change."""

    replay: Replay
    changed: bool


class StartReplay(Request[ReplayChanged]):
    """Replays captures on the test port; refused while a transfer replays live traffic.

    ``replay`` is its id; null: the engine picks one. Idempotent with an id.
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
    """The ledger of a replay that has ended."""

    call: ClassVar[str] = "replays.ledger"
    answer: ClassVar[type[Answer]] = Ledger

    replay: Id


class PauseReplay(Request[ReplayChanged]):
    """Stops the clock of the captures; sessions finish what they have."""

    call: ClassVar[str] = "replays.pause"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


class ResumeReplay(Request[ReplayChanged]):
    """Restarts the clock where it stopped."""

    call: ClassVar[str] = "replays.resume"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


class CancelReplay(Request[ReplayChanged]):
    """Resets every session and ends the replay; answers when that is done."""

    call: ClassVar[str] = "replays.cancel"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id


class DeleteReplay(Request[ReplayChanged]):
    """Deletes a replay that has ended."""

    call: ClassVar[str] = "replays.delete"
    answer: ClassVar[type[Answer]] = ReplayChanged

    replay: Id
