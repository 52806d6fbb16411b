"""The application: routes, the guard in front of them, and the control socket behind them."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from api import dashboard, errors, examples, metrics
from api.audit import Audit
from api.context import VIEWER, Context, Ctx
from api.guard import Guard
from api.routes import appliance, doctor, replays, token, transfers
from api.routes import captures as capture_routes
from api.tokens import Limiter, Tokens
from appliance.captures import Library
from appliance.contract.appliance import GetStatus
from appliance.contract.base import ControlError
from appliance.contract.client import Client
from appliance.settings.captures import Captures

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.settings.api import Api

ENGINE_TIMEOUT_S = 5.0


class Health(BaseModel):
    """Whether the engine is up. The api is, since it answers."""

    api: Literal["up"] = "up"
    engine: Literal["up", "down"]


def create_app(settings: Api, control: Path, captures: Library | None = None) -> FastAPI:
    """Build the application. ``control`` is the engine's socket; the engine may start later."""
    library = captures or Library(Captures())
    app = FastAPI(
        title="xdpcopy",
        version=version("xdpcopy"),
        description="Control of a TCP traffic-replay appliance. Errors are problem+json (RFC 9457).",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page loads scripts from another site
        redoc_url=None,
        redirect_slashes=False,
    )
    audit = Audit(settings.audit)
    tokens = Tokens(settings.tokens)
    app.state.context = Context(Client(control, ENGINE_TIMEOUT_S), audit, library, tokens)
    errors.install(app)
    for part in (transfers, capture_routes, replays, doctor, appliance, token):
        app.include_router(part.router, prefix="/api/v1")
    _health(app)
    _metrics(app)
    dashboard.install(app)
    app.add_middleware(
        Guard,
        tokens=tokens,
        audit=audit,
        limiter=Limiter(),
        max_body=settings.max_body_bytes,
        tls=settings.tls,
        uploads={"/api/v1/captures": library.settings.max_bytes},
    )
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "If-Match"],
        expose_headers=["ETag", "Location"],
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # the documented way
    return app


def _health(app: FastAPI) -> None:
    @app.get("/health", tags=["health"])
    def health(ctx: Ctx) -> Health:
        """Whether the api is up, and whether it reaches the engine."""
        return _ask(ctx)

    @app.get("/ready", tags=["health"], responses={503: {"model": Health, "description": "engine: down"}})
    def ready(response: Response, ctx: Ctx) -> Health:
        """Like /health, but 503 while the engine is down."""
        found = _ask(ctx)
        response.status_code = 200 if found.engine == "up" else 503
        return found


def _ask(ctx: Context) -> Health:
    try:
        ctx.client.call(GetStatus())
    except ControlError:
        return Health(engine="down")
    return Health(engine="up")


def _metrics(app: FastAPI) -> None:
    @app.get(
        "/metrics",
        tags=["metrics"],
        dependencies=[VIEWER],
        response_class=Response,
        responses=errors.documented(401, 429)
        | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    def prometheus(ctx: Ctx) -> Response:
        """Metrics in Prometheus's text format."""
        return Response(metrics.text(ctx), media_type="text/plain; version=0.0.4")


def _openapi(app: FastAPI) -> dict[str, Any]:
    if not app.openapi_schema:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas: dict[str, Any] = made["components"]["schemas"]
        problem = errors.ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(problem.pop("$defs"))
        schemas["ProblemDetails"] = problem
        examples.add(made)
        app.openapi_schema = made
    return app.openapi_schema
