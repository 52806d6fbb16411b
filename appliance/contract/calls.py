"""What is asked of the engine, and what it answers: one class for each call, one for each answer.

A request and its answer are one line of JSON each, on a Unix stream socket:

    {"id": 1, "call": "transfers.pause", "with": {"transfer": "shop"}}
    {"id": 1, "result": {…}}
    {"id": 1, "error": {"kind": "not_found", "message": "…", "problems": []}}

``call`` is the class variable of the request, ``with`` its fields, ``result`` the fields of its ``answer``.
Answers come in the order of the requests. Times are seconds; moments are seconds since 1970 (``…_at``).
Both ends are of one version: the api restarts with the engine's package, and a field that is not known is an
error on the engine's side and left out of account on the other.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

from appliance.contract import observed
from appliance.contract import replays as offline
from appliance.contract.base import Answer, Request
from appliance.settings.transfer import Id, Transfer  # noqa: TC001 - pydantic reads the annotations at run time

SOCKET = Path("/run/xdpcopy/control.sock")
MAX_LINE = 1 << 20

# --- the appliance ----------------------------------------------------------------------------------------


class QueueStatus(Answer):
    """One queue of a port: the mode obtained (zerocopy, copy), the worker, frames that its socket lost."""

    queue: int
    worker: int
    mode: str
    lost: int


class PortStatus(Answer):
    """What a port obtained. ``xdp_counts``: frames by what its XDP program made of them."""

    role: str
    device: str
    driver: str
    xdp: str
    refusal: str
    mtu: int
    queues: tuple[QueueStatus, ...]
    xdp_counts: dict[str, int]


class Status(Answer):
    """The appliance. ``armed`` false: after an emergency stop, nothing is sent until it is armed again.

    ``stats`` is the file of the counters, which readers map (``appliance.engine.stats.StatsFile``).
    ``aside``: what has the ports in the engine's place, in a sentence; meanwhile transfers cannot be changed.
    """

    version: str
    pid: int
    started_at: float
    uptime_s: float
    armed: bool
    healthy: bool
    workers: int
    transfers: int
    ports: tuple[PortStatus, ...]
    stats: Path
    warnings: tuple[str, ...]
    aside: str = ""


class GetStatus(Request[Status]):
    """Version, ports, queues, modes obtained, uptime."""

    call: ClassVar[str] = "status"
    answer: ClassVar[type[Answer]] = Status


class WorkerStatus(Answer):
    """A worker. ``cpu`` none: not pinned. ``cpu_s``: CPU time. ``beat_age_s``: since its last sign."""

    worker: int
    cpu: int | None
    cpu_s: float
    beat_age_s: float


class Workers(Answer):
    """All workers, by number."""

    items: tuple[WorkerStatus, ...]


class GetWorkers(Request[Workers]):
    """The workers and their load; what they count is in Counters."""

    call: ClassVar[str] = "workers"
    answer: ClassVar[type[Answer]] = Workers


class Emergency(Answer):
    """``armed`` now; ``sessions_reset`` by this call; how long that took until targets had let go of them.

    ``unconfirmed``: of those, the ones that a target may hold yet (docs/architecture.md, section "Ends").
    """

    armed: bool
    sessions_reset: int
    unconfirmed: int
    took_ms: float


class Stop(Request[Emergency]):
    """Emergency stop: every session is reset and nothing more is sent, within a second. Survives restarts."""

    call: ClassVar[str] = "stop"
    answer: ClassVar[type[Answer]] = Emergency


class Arm(Request[Emergency]):
    """After an emergency stop: replay goes on, with new connections and at the next turns of others."""

    call: ClassVar[str] = "arm"
    answer: ClassVar[type[Answer]] = Emergency


# --- transfers --------------------------------------------------------------------------------------------


class TransferState(StrEnum):
    """What a transfer does."""

    RUNNING = "running"
    PAUSED = "paused"
    UNREACHABLE = "unreachable"  # its target has no link-layer address at present; it runs when it has
    STOPPED = "stopped"  # by the emergency stop


class TransferStatus(Answer):
    """A transfer. ``version`` grows with every change (for ETags); ``slot`` is its place in the stats file.

    ``next_hop`` is the link-layer address that its frames go to, or empty. ``forecast``: how many
    connections its forged endpoints hold at once, in a sentence.
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
    """All transfers, in the order in which they were made. ``version`` grows with every change to any."""

    version: int
    items: tuple[TransferStatus, ...]


class Applied(Answer):
    """A change: written durably, and in force on every worker after ``took_ms``.

    ``changed`` false: it was so already, and nothing was done. ``sessions_reset`` by this change;
    ``unconfirmed``: of those, the ones that the target may hold yet.
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
    """Makes a transfer. ``transfer`` is its id; empty: the engine gives one.

    Idempotent where an id is given: the same settings again change nothing, others are a conflict.
    """

    call: ClassVar[str] = "transfers.create"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id | None = None
    settings: Transfer
    paused: bool = False


class ReplaceTransfer(Request[Applied]):
    """Gives a transfer other settings, all of them. ``version``: only if it is the present one.

    Sessions go on with the settings that they began with; new ones have the new ones. Where source, target or
    protocol differ the sessions are reset.
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
    """Resets the transfer's sessions and forgets it. The answer has it as it was last."""

    call: ClassVar[str] = "transfers.delete"
    answer: ClassVar[type[Answer]] = Applied

    transfer: Id
    version: int | None = None


CALLS: tuple[type[Request[Any]], ...] = (
    GetStatus,
    GetWorkers,
    Stop,
    Arm,
    ListTransfers,
    GetTransfer,
    CreateTransfer,
    ReplaceTransfer,
    PauseTransfer,
    ResumeTransfer,
    DeleteTransfer,
    observed.GetCounters,
    observed.GetLedger,
    observed.GetLatency,
    observed.GetProtocols,
    observed.ListSessions,
    observed.GetSession,
    *offline.CALLS,
)
REQUESTS = {kind.call: kind for kind in CALLS}
