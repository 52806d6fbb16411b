"""Calls about transfers: list, create, replace, pause, resume, delete."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from appliance.contract.base import Answer, Request
from appliance.settings.model import Id  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.settings.transfer import Transfer  # noqa: TC001 - as above


class TransferState(StrEnum):
    """What a transfer is doing."""

    RUNNING = "running"
    PAUSED = "paused"
    UNREACHABLE = "unreachable"  # its next hop does not resolve; it runs as soon as it does
    STOPPED = "stopped"  # by the emergency stop


class TransferStatus(Answer):
    """A transfer. ``version`` grows with every change (its ETag); ``slot``: its index in the stats file.

    ``next_hop``: the link-layer address its frames go to, or empty. ``forecast``: a sentence on how many
    connections its forged endpoints allow at once.
    """

    id: str
    slot: int
    version: int
    state: TransferState
    paused: bool
    settings: Transfer
    next_hop: str
    forecast: str


class Transfers(Answer):
    """All transfers, oldest first. ``version`` grows with every change to any of them."""

    version: int
    items: tuple[TransferStatus, ...]


class Applied(Answer):
    """A change: stored durably, and in force on every worker after ``took_ms``.

    ``changed`` false: nothing had to change. ``sessions_reset``: by this change;
    ``unconfirmed``: those of them that the target may still hold.
    """

    transfer: TransferStatus
    changed: bool
    sessions_reset: int
    unconfirmed: int
    took_ms: float


class ListTransfers(Request[Transfers]):
    """All transfers."""

    call: ClassVar[str] = "transfers.list"
    answer: ClassVar[type[Answer]] = Transfers


class GetTransfer(Request[TransferStatus]):
    """One transfer, by id."""

    call: ClassVar[str] = "transfers.get"
    answer: ClassVar[type[Answer]] = TransferStatus

    transfer: Id


class CreateTransfer(Request[Applied]):
    """Creates a transfer. ``transfer`` is its id; null: the engine picks one.

    Idempotent with an id: the same settings again change nothing, others are a conflict.
    """

    call: ClassVar[str] = "transfers.create"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id | None = None
    settings: Transfer
    paused: bool = False


class ReplaceTransfer(Request[Applied]):
    """Replaces all settings of a transfer. ``version``: only if it is the current one.

    Open sessions keep the settings they began with, unless source, target or protocol change: then they are
    reset.
    """

    call: ClassVar[str] = "transfers.replace"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id
    settings: Transfer
    version: int | None = None


class PauseTransfer(Request[Applied]):
    """Resets the transfer's sessions and admits no new ones."""

    call: ClassVar[str] = "transfers.pause"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id
    version: int | None = None


class ResumeTransfer(Request[Applied]):
    """Replays again: new connections, and, unless full_sessions_only, others from their next turn on."""

    call: ClassVar[str] = "transfers.resume"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id
    version: int | None = None


class DeleteTransfer(Request[Applied]):
    """Resets the transfer's sessions and deletes it. The answer shows it as it was."""

    call: ClassVar[str] = "transfers.delete"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id
    version: int | None = None
