"""Timeouts and retries of the replayed sessions, as settings."""

from __future__ import annotations

from pydantic import Field

from appliance.settings.model import MAX_SECONDS, Model


class Timing(Model):
    """Timeouts and retries of the replayed sessions."""

    settle_ms: float = Field(
        default=5.0,
        gt=0,
        le=MAX_SECONDS,
        description="Silence after which an answer shorter than production's counts as complete.",
    )
    response_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=MAX_SECONDS,
        description="A request unanswered for this long ends the session (tcpcopy's -t).",
    )
    idle_timeout_s: float = Field(
        default=3600.0,
        gt=0,
        le=MAX_SECONDS,
        description="A mirrored connection without frames for this long is forgotten.",
    )
    datagram_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=MAX_SECONDS,
        description="UDP: a conversation ends when its client has been silent for this long.",
    )
    gap_timeout_s: float = Field(
        default=1.0,
        gt=0,
        le=MAX_SECONDS,
        description="A gap in the mirrored bytes that lasts this long ends the session.",
    )
    linger_s: float = Field(
        default=5.0,
        ge=0,
        le=MAX_SECONDS,
        description="How long an ended connection is remembered, for late copies of its frames.",
    )
    tries: int = Field(
        default=8, ge=1, le=100, description="Transmissions of one segment before giving up on the target."
    )
    syn_tries: int = Field(default=6, ge=1, le=100, description="Transmissions of a SYN.")
