"""Bounds on memory and rates, as settings."""

from __future__ import annotations

from pydantic import Field

from appliance.settings.model import MAX_U32, Model


class Limits(Model):
    """Hard bounds, set at start. At a bound new connections are refused and counted."""

    connections: int = Field(
        default=1 << 17,
        ge=1,
        le=MAX_U32,
        description="Mirrored connections tracked at once, over all workers.",
    )
    sessions: int = Field(
        default=1 << 17, ge=1, le=MAX_U32, description="Sessions open at once, over all workers."
    )
    buffer_bytes: int = Field(
        default=1 << 30, ge=1 << 20, description="Request bytes buffered at once, over all workers."
    )
    backlog_bytes: int = Field(
        default=16 << 20, ge=1 << 16, le=MAX_U32, description="Request bytes buffered for one connection."
    )
    sessions_per_second: int = Field(
        default=0, ge=0, le=MAX_U32, description="New sessions a second, over all workers; 0: no cap."
    )
    packets_per_second: int = Field(
        default=0,
        ge=0,
        le=MAX_U32,
        description="Packets a second to targets, over all workers; what exceeds it waits. 0: no cap.",
    )
