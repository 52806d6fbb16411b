"""Sessions as a running engine tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from dataplane._dataplane import lib
from dataplane.binding.structs import Address, address_of


class SessionState(IntEnum):
    """The state of a session's connection to the target."""

    SYN_SENT = lib.DP_SESSION_SYN_SENT
    ESTABLISHED = lib.DP_SESSION_ESTABLISHED
    FIN_WAIT = lib.DP_SESSION_FIN_WAIT
    CLOSE_WAIT = lib.DP_SESSION_CLOSE_WAIT
    CLOSING = lib.DP_SESSION_CLOSING
    DATAGRAMS = lib.DP_SESSION_DATAGRAMS


class Waits(IntEnum):
    """What a session waits for before it sends more."""

    PRODUCTION = lib.DP_WAITS_PRODUCTION
    MIRROR_GAP = lib.DP_WAITS_GAP
    HANDSHAKE = lib.DP_WAITS_HANDSHAKE
    ANSWER = lib.DP_WAITS_ANSWER
    ACKNOWLEDGEMENT = lib.DP_WAITS_ACKNOWLEDGEMENT
    WINDOW = lib.DP_WAITS_WINDOW
    NOTHING = lib.DP_WAITS_NOTHING


@dataclass(frozen=True)
class Session:
    """A session at one moment (``struct dp_session_row``); times in nanoseconds, rtt in microseconds.

    Endpoints are address and port. Worker, slot and opened_at together name it as long as it lives.
    """

    worker: int
    slot: int
    opened_at: int
    transfer: int
    state: SessionState
    waits: Waits
    client: tuple[Address, int]
    server: tuple[Address, int]
    forged: tuple[Address, int]
    target: tuple[Address, int]
    age: int
    idle: int
    turns: int
    request_bytes: int
    pending_bytes: int
    answer_bytes: int
    retransmits: int
    rtt: int


def session_of(row: Any) -> Session:  # noqa: ANN401 - a cffi struct has no Python type
    """A row of dp_sessions_take."""

    def endpoint(side: str) -> tuple[Address, int]:
        return address_of(bytes(getattr(row, f"{side}_ip"))), getattr(row, f"{side}_port")

    numbers = ("worker", "slot", "opened_at", "transfer", "age", "idle", "turns", "request_bytes")
    more = ("pending_bytes", "answer_bytes", "retransmits", "rtt")
    return Session(
        state=SessionState(row.state),
        waits=Waits(row.waits),
        client=endpoint("client"),
        server=endpoint("server"),
        forged=endpoint("forged"),
        target=endpoint("target"),
        **{name: getattr(row, name) for name in (*numbers, *more)},
    )
