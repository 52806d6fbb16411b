"""What routes share: the engine's client, the newest counters, and the check of a role."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from api.tokens import Role, Token
from appliance.control.observed import Counters, GetCounters

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.audit import Audit
    from appliance.control import base
    from appliance.control.client import Client

    A = TypeVar("A", bound=base.Answer)

FRESH_S = 0.05

bearer = HTTPBearer(auto_error=False, description="A token of xdpcopy token create.")


class Sampler:
    """The newest counters. However many ask, the engine reads its stats segment once in ``FRESH_S``."""

    def __init__(self, client: Client) -> None:
        """Nothing is read yet."""
        self._client = client
        self._lock = threading.Lock()
        self._last: Counters | None = None
        self._read_at = 0.0

    def counters(self) -> Counters:
        """At most ``FRESH_S`` old. Raises ControlError."""
        with self._lock:
            if self._last is None or time.monotonic() - self._read_at > FRESH_S:
                self._last = self._client.call(GetCounters())
                self._read_at = time.monotonic()
            return self._last


@dataclass
class Context:
    """One for each application."""

    client: Client
    audit: Audit
    sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        """The sampler asks the same engine."""
        self.sampler = Sampler(self.client)

    def call(self, request: base.Request[A]) -> A:
        """What the engine answers. Raises ControlError."""
        return self.client.call(request)


def context(request: Request) -> Context:
    """The application's."""
    found: Context = request.app.state.context
    return found


def needs(role: Role) -> Callable[[Request, object], None]:
    """A dependency: the token must have at least this role."""

    def check(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
        token: Token = request.state.token
        if not token.role.covers(role):
            raise HTTPException(403, f"this needs the role {role.value}; the token has {token.role.value}")

    return check


Ctx = Annotated[Context, Depends(context)]
VIEWER, OPERATOR, ADMIN = (Depends(needs(role)) for role in Role)
