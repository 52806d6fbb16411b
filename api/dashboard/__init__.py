"""The dashboard: static files at ``/`` that use the REST routes like any other client (docs/adr/0007).

``PATHS`` need no token, as they hold only the page's own code. The page asks for one and sends it with every
request, so REST's roles, rate limit and audit log apply.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from appliance.engine.stats import MEANINGS

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

STATIC = Path(__file__).parent / "static"
BASE = "/dashboard"
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self'; style-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)


def _files() -> dict[str, tuple[bytes, str]]:
    found = {
        f"{BASE}/{path.name}": (path.read_bytes(), TYPES[path.suffix]) for path in sorted(STATIC.iterdir())
    }
    found["/"] = found.pop(f"{BASE}/index.html")
    found[f"{BASE}/meanings.json"] = (json.dumps(MEANINGS).encode(), TYPES[".json"])
    return found


FILES = _files()
PATHS = frozenset(FILES)


def install(app: FastAPI) -> None:
    """Serve the files. They are not part of the OpenAPI document."""

    async def file(request: Request) -> Response:
        content, kind = FILES[request.url.path]
        return Response(content, headers={"Content-Security-Policy": POLICY, "Content-Type": kind})

    app.router.routes.extend(Route(path, file) for path in FILES)
