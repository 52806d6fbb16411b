"""What routes share: the engine's client, cached answers, and the role check."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from api.tokens import Role, Token, Tokens
from appliance.contract import base
from appliance.contract.observed import MAX_SESSIONS, Counters, GetCounters, ListSessions, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.audit import Audit
    from appliance.captures import Library
    from appliance.contract.client import Client

A = TypeVar("A", bound=base.Answer)

FRESH_S = 0.05
SESSIONS_FRESH_S = 2.0

bearer = HTTPBearer(auto_error=False, description="A token from xdpcopy token create.")


class Shared(Generic[A]):
    """The answer to one request, cached: the engine is asked at most once per ``fresh_s``."""

    def __init__(self, client: Client, request: base.Request[A], fresh_s: float) -> None:
        self._client = client
        self._request = request
        self._lock = threading.Lock()
        self._last: A | None = None
        self._read_at = 0.0
        self.fresh_s = fresh_s

    def newest(self) -> A:
        """The answer, at most ``fresh_s`` old. Raises ControlError."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at > self.fresh_s:
                self._last = self._client.call(self._request)
                self._read_at = time.monotonic()
            return self._last


@dataclass
class Context:
    """One per application."""

    client: Client
    audit: Audit
    library: Library
    tokens: Tokens
    counters: Shared[Counters] = field(init=False)
    sessions: Shared[Sessions] = field(init=False)

    def __post_init__(self) -> None:
        self.counters = Shared(self.client, GetCounters(), FRESH_S)
        self.sessions = Shared(self.client, ListSessions(limit=MAX_SESSIONS), SESSIONS_FRESH_S)


def context(request: Request) -> Context:
    """The context of the request's application."""
    found: Context = request.app.state.context
    return found


def needs(role: Role) -> Callable[[Request, object], None]:
    """A dependency that requires the token to have at least this role."""

    def check(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
        token: Token = request.state.token
        if not token.role.covers(role):
            raise HTTPException(403, f"this needs the role {role.value}; the token has {token.role.value}")

    return check


Ctx = Annotated[Context, Depends(context)]
VIEWER, OPERATOR, ADMIN = (Depends(needs(role)) for role in Role)
