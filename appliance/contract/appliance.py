"""Calls about the appliance as a whole: status, workers, emergency stop."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotations at run time
from typing import ClassVar

from appliance.contract.base import Answer, Request


class QueueStatus(Answer):
    """One queue of a port. ``mode``: zerocopy or copy, as obtained; ``lost``: frames its socket dropped."""

    queue: int
    worker: int
    mode: str
    lost: int


class PortStatus(Answer):
    """A port. ``xdp_counts``: frames, by what its XDP program did with them."""

    role: str
    device: str
    driver: str
    xdp: str
    refusal: str
    mtu: int
    queues: tuple[QueueStatus, ...]
    xdp_counts: dict[str, int]


class Status(Answer):
    """The appliance. ``armed`` false: an emergency stop is in force, and nothing is sent until it is armed.

    ``stats``: the file of the counters, which readers map (``appliance.engine.stats.StatsFile``).
    ``aside``: a sentence about what occupies the ports instead of the engine; until it ends transfers cannot
    be changed.
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
    """Version, ports, queues, the modes obtained, uptime."""

    call: ClassVar[str] = "status"
    answer: ClassVar[type[Answer]] = Status


class WorkerStatus(Answer):
    """A worker. ``cpu`` null: not pinned; ``cpu_s``: CPU time; ``beat_age_s``: since its last heartbeat."""

    worker: int
    cpu: int | None
    cpu_s: float
    beat_age_s: float


class Workers(Answer):
    """All workers, by number."""

    items: tuple[WorkerStatus, ...]


class GetWorkers(Request[Workers]):
    """The workers and their load; their counters are in Counters."""

    call: ClassVar[str] = "workers"
    answer: ClassVar[type[Answer]] = Workers


class Emergency(Answer):
    """The state now, the sessions this call reset, and the time until their targets had let go.

    ``unconfirmed``: those that a target may still hold (docs/architecture.md, section "Ends").
    """

    armed: bool
    sessions_reset: int
    unconfirmed: int
    took_ms: float


class Stop(Request[Emergency]):
    """Emergency stop: resets every session, then sends nothing, within a second. Survives restarts."""

    call: ClassVar[str] = "stop"
    answer: ClassVar[type[Answer]] = Emergency


class Arm(Request[Emergency]):
    """Ends an emergency stop: new connections are replayed, and others from their next turn on."""

    call: ClassVar[str] = "arm"
    answer: ClassVar[type[Answer]] = Emergency
