"""Calls that only read: counters, ledger, latency, protocols, sessions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from appliance.contract.base import Answer, Request
from appliance.settings.model import Id  # noqa: TC001 - pydantic reads the annotations at run time
from dataplane.binding import MAX_ROWS

MAX_SESSIONS = MAX_ROWS

# --- what is counted --------------------------------------------------------------------------------------


class Counters(Answer):
    """Every counter: summed, per worker, and per transfer (by id, and fewer of them).

    The stats file (``appliance.engine.stats.StatsFile``) has the same, and costs the engine nothing.
    """

    schema_version: str
    at: float
    totals: dict[str, int]
    workers: tuple[dict[str, int], ...]
    transfers: dict[str, dict[str, int]]


class GetCounters(Request[Counters]):
    """All counters."""

    call: ClassVar[str] = "counters"
    answer: ClassVar[type[Answer]] = Counters


class Ledger(Answer):
    """The ledger: equations, drops and ends by reason, counters, ports (``appliance.engine.ledger.make``).

    While workers run, an equation can be off by what is in flight.
    """

    closes: bool
    ledger: dict[str, Any]


class GetLedger(Request[Ledger]):
    """The ledger so far."""

    call: ClassVar[str] = "ledger"
    answer: ClassVar[type[Answer]] = Ledger


class Distribution(BaseModel):
    """Times. ``buckets``: pairs of upper bound in seconds and count, without empty ones."""

    model_config = ConfigDict(frozen=True)

    count: int
    sum_s: float
    p50_s: float
    p90_s: float
    p99_s: float
    p999_s: float
    max_s: float
    buckets: tuple[tuple[float, int], ...]


class Latency(Answer):
    """Answer times, from the last byte of a request to the first of its answer, per transfer id.

    ``target``: measured by the appliance; ``production``: as the mirror shows it, empty where only the
    clients' direction is mirrored.
    """

    target: dict[str, Distribution]
    production: dict[str, Distribution]


class GetLatency(Request[Latency]):
    """Answer times, of target and production."""

    call: ClassVar[str] = "latency"
    answer: ClassVar[type[Answer]] = Latency


class Protocols(Answer):
    """Replayed connections, by protocol."""

    connections: dict[str, int]


class GetProtocols(Request[Protocols]):
    """The protocols of the replayed connections."""

    call: ClassVar[str] = "protocols"
    answer: ClassVar[type[Answer]] = Protocols


# --- sessions ---------------------------------------------------------------------------------------------


class SessionState(StrEnum):
    """The state of a session's connection to the target (RFC 9293 3.3.2)."""

    SYN_SENT = "syn_sent"
    ESTABLISHED = "established"
    FIN_WAIT = "fin_wait"
    CLOSE_WAIT = "close_wait"
    CLOSING = "closing"
    DATAGRAMS = "datagrams"


class Waits(StrEnum):
    """What a session waits for before sending more."""

    PRODUCTION = "production"  # everything mirrored so far is delivered
    MIRROR_GAP = "mirror_gap"  # bytes are missing in the mirror
    HANDSHAKE = "handshake"  # the target has not accepted the connection
    ANSWER = "answer"  # the target has not finished its answer, so the next turn is not due
    ACKNOWLEDGEMENT = "acknowledgement"  # the target has not acknowledged what was sent
    WINDOW = "window"  # the target's window is closed
    NOTHING = "nothing"  # it is about to send


class SessionStatus(Answer):
    """A session, at the time of the request. ``id`` is stable while it lives.

    ``client`` and ``server`` are production's endpoints, ``forged`` and ``target`` the replay's. ``turns``:
    turns begun. ``pending_bytes``: mirrored, but not yet acknowledged by the target.
    """

    id: str
    transfer: str
    worker: int
    state: SessionState
    waits: Waits
    client: str
    server: str
    forged: str
    target: str
    age_s: float
    idle_s: float
    turns: int
    request_bytes: int
    pending_bytes: int
    answer_bytes: int
    retransmits: int
    rtt_ms: float


class Sessions(Answer):
    """The matching sessions, at most ``limit``; ``truncated``: there are more."""

    items: tuple[SessionStatus, ...]
    truncated: bool


class ListSessions(Request[Sessions]):
    """Sessions that match every filter given. ``client``: the mirrored client's address."""

    call: ClassVar[str] = "sessions.list"
    answer: ClassVar[type[Answer]] = Sessions

    transfer: Id | None = None
    state: SessionState | None = None
    client: str = ""
    limit: Annotated[int, Field(ge=1, le=MAX_SESSIONS)] = 100


class GetSession(Request[SessionStatus]):
    """One session, by id; not_found once it has ended."""

    call: ClassVar[str] = "sessions.get"
    answer: ClassVar[type[Answer]] = SessionStatus

    session: Annotated[str, Field(min_length=1, max_length=64)]
