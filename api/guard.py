"""What every request passes before it reaches a route: size limit and token; then audit log and headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from api import dashboard
from api.errors import problem
from api.tokens import Limiter, Token, Tokens
from appliance.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.audit import Audit
    from api.errors import ProblemResponse

PUBLIC = dashboard.PATHS | {"/health", "/ready", "/api/v1/openapi.json"}
READS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSALS = frozenset({401, 403, 429})
MAX_PATH = 512

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass
class Guard:
    """ASGI middleware. Sets ``request.state.token``; routes set ``before`` and ``after`` for the audit."""

    app: ASGIApp
    tokens: Tokens
    audit: Audit
    limiter: Limiter
    max_body: int
    tls: bool
    uploads: Mapping[str, int] = field(default_factory=dict)  # larger limits, by path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state.update(token=None, before=None, after=None)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._note(scope, message["status"])
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if self.tls:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        refusal = await self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        await self.app(scope, self._limited(receive, self._most(scope)), answer)

    async def _refusal(self, scope: Scope) -> ProblemResponse | None:
        headers = Headers(scope=scope)
        length = headers.get("content-length", "0")
        most = self._most(scope)
        if not length.isdecimal() or int(length) > most:
            return problem(413, f"the body may have at most {most} bytes; send less")
        if scope["path"] in PUBLIC:
            return None
        address = scope["client"][0] if scope.get("client") else "local"
        wait = self.limiter.wait_s(address)
        if wait > 0:
            return problem(
                429,
                "too many refused tokens from this address; wait and try again",
                headers={"Retry-After": str(int(wait) + 1)},
            )
        scheme, _, text = headers.get("authorization", "").partition(" ")
        try:
            token = await to_thread.run_sync(self.tokens.check, text.strip()) if text else None
        except MachineError as error:
            return problem(503, str(error))
        if scheme.lower() != "bearer" or token is None:
            if text:
                self.limiter.failed(address)
            return problem(
                401,
                "a valid token is needed: Authorization: Bearer TOKEN; xdpcopy token create makes one",
                headers={"WWW-Authenticate": "Bearer"},
            )
        scope["state"]["token"] = token
        return None

    async def _note(self, scope: Scope, status: int) -> None:
        if scope["method"] in READS and status not in REFUSALS:
            return
        state, token = scope["state"], scope["state"]["token"]
        what = {
            "who": f"{token.name} ({token.id})" if isinstance(token, Token) else "",
            "role": token.role.value if isinstance(token, Token) else "",
            "address": scope["client"][0] if scope.get("client") else "local",
            "method": scope["method"],
            "path": scope["path"][:MAX_PATH],
            "before": state["before"],
            "after": state["after"],
            "status": status,
        }
        await to_thread.run_sync(lambda: self.audit.write(**what))

    def _most(self, scope: Scope) -> int:
        return self.uploads.get(scope["path"], self.max_body)

    def _limited(self, receive: Receive, most: int) -> Receive:
        left = most

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body may have at most {most} bytes; send less")
            return message

        return limited
