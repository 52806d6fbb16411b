"""Calls that change nothing: counters, ledger, latency, protocols, sessions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from appliance.contract.base import Answer, Request
from appliance.engine.stats import Distribution  # noqa: TC001 - as below
from appliance.settings.transfer import Id  # noqa: TC001 - pydantic reads the annotations at run time

MAX_SESSIONS = 1000

# --- what is counted --------------------------------------------------------------------------------------


class Counters(Answer):
    """Every counter of ``schema_version``: summed, of each worker, of each transfer (by id; fewer counters).

    Read rather from the stats file (``appliance.engine.stats.StatsFile``): that costs the engine nothing.
    """

    schema_version: str
    at: float
    totals: dict[str, int]
    workers: tuple[dict[str, int], ...]
    transfers: dict[str, dict[str, int]]


class GetCounters(Request[Counters]):
    """All counters now."""

    call: ClassVar[str] = "counters"
    answer: ClassVar[type[Answer]] = Counters


class Ledger(Answer):
    """The account (``appliance.engine.ledger.make``): equations, drops and ends by reason, counters, ports.

    While workers run an equation can be off by what is in flight.
    """

    closes: bool
    ledger: dict[str, Any]


class GetLedger(Request[Ledger]):
    """The account so far."""

    call: ClassVar[str] = "ledger"
    answer: ClassVar[type[Answer]] = Ledger


class Latency(Answer):
    """From the last byte of a request to the first byte of its answer, of each transfer by id.

    ``target`` as the appliance measured it, ``production`` as the mirror shows it (empty where only the
    clients' direction is mirrored).
    """

    target: dict[str, Distribution]
    production: dict[str, Distribution]


class GetLatency(Request[Latency]):
    """Answer times, the target's beside production's."""

    call: ClassVar[str] = "latency"
    answer: ClassVar[type[Answer]] = Latency


class Protocols(Answer):
    """Connections by the protocol that they speak."""

    connections: dict[str, int]


class GetProtocols(Request[Protocols]):
    """What the replayed connections speak."""

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
    """What a session waits for before it sends more."""

    PRODUCTION = "production"  # all that the mirror has shown is delivered
    MIRROR_GAP = "mirror_gap"  # mirrored bytes are missing
    HANDSHAKE = "handshake"  # the target has not accepted yet
    ANSWER = "answer"  # the target's answer is not complete: the next turn is not due
    ACKNOWLEDGEMENT = "acknowledgement"  # the target has not acknowledged what was sent
    WINDOW = "window"  # the target's window is closed
    NOTHING = "nothing"  # it has something to send, and will


class SessionStatus(Answer):
    """One session, at the moment of the question. ``id`` is stable while it lives.

    ``client`` and ``server`` are production's, ``forged`` and ``target`` those of the replay. ``turns``:
    requests begun. ``pending_bytes``: mirrored and not acknowledged by the target.
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
    """Those that fit, at most ``limit``; ``truncated``: there are more."""

    items: tuple[SessionStatus, ...]
    truncated: bool


class ListSessions(Request[Sessions]):
    """Sessions that fit all that is given. ``client``: an address, of the mirrored client."""

    call: ClassVar[str] = "sessions.list"
    answer: ClassVar[type[Answer]] = Sessions

    transfer: Id | None = None
    state: SessionState | None = None
    client: str = ""
    limit: Annotated[int, Field(ge=1, le=MAX_SESSIONS)] = 100


class GetSession(Request[SessionStatus]):
    """One session, by id; not_found when it has ended."""

    call: ClassVar[str] = "sessions.get"
    answer: ClassVar[type[Answer]] = SessionStatus

    session: Annotated[str, Field(min_length=1, max_length=64)]
