"""The appliance: status, counters, sessions, emergency stop, and the audit log."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from api.audit import Entry  # noqa: TC001 - FastAPI reads the annotations at run time
from api.context import ADMIN, OPERATOR, VIEWER, Context, Ctx
from api.errors import ProblemDetails, documented
from appliance.contract import appliance as contract
from appliance.contract import observed
from appliance.contract.base import ControlError
from appliance.settings.model import Id  # noqa: TC001 - as above

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

router = APIRouter(tags=["appliance"])
ERRORS = documented(401, 429, 503)
EVENT = {
    "type": "object",
    "properties": {"event": {"enum": ["counters", "down"]}, "data": {"type": "string"}},
    "required": ["event", "data"],
}
QUERY_ERRORS = documented(401, 422, 429, 503)


class SessionsSummary(BaseModel):
    """Counts over ``looked_at`` sessions; ``truncated`` if there are more than those."""

    looked_at: int
    truncated: bool
    states: dict[observed.SessionState, int]
    waits: dict[observed.Waits, int]


@router.get("/appliance", dependencies=[VIEWER], responses=ERRORS)
def appliance(ctx: Ctx) -> contract.Status:
    """Version, uptime, ports, queues and their modes, and whether the engine is armed."""
    return ctx.client.call(contract.GetStatus())


@router.get("/workers", dependencies=[VIEWER], responses=ERRORS)
def workers(ctx: Ctx) -> contract.Workers:
    """The workers and their CPU time."""
    return ctx.client.call(contract.GetWorkers())


@router.get("/counters", dependencies=[VIEWER], responses=ERRORS)
def counters(ctx: Ctx) -> observed.Counters:
    """Every counter: in total, per worker, and per transfer."""
    return ctx.counters.newest()


@router.get(
    "/counters/stream",
    dependencies=[VIEWER],
    response_class=StreamingResponse,
    responses=documented(401, 422, 429) | {200: {"content": {"text/event-stream": {"schema": EVENT}}}},
)
async def stream(
    request: Request,
    ctx: Ctx,
    interval: Annotated[float, Query(ge=0.1, le=60, description="Seconds between events.")] = 1.0,
    count: Annotated[
        int, Query(ge=0, le=1_000_000, description="Ends after this many events; 0: never.")
    ] = 0,
) -> StreamingResponse:
    """Server-sent events: ``counters`` with all counters, or ``down`` with a problem without the engine.

    The stream ends when its token is revoked.
    """
    return StreamingResponse(_events(request, ctx, interval, count), media_type="text/event-stream")


async def _events(request: Request, ctx: Context, interval: float, count: int) -> AsyncIterator[str]:
    sent = 0
    while not await request.is_disconnected() and ctx.tokens.holds(request.state.token):
        try:
            found = await to_thread.run_sync(ctx.counters.newest)
            yield f"event: counters\ndata: {found.model_dump_json()}\n\n"
        except ControlError as error:
            gone = ProblemDetails(title="engine: down", status=503, detail=str(error))
            yield f"event: down\ndata: {gone.model_dump_json()}\n\n"
        sent += 1
        if sent == count:
            return
        await asyncio.sleep(interval)


@router.get("/ledger", dependencies=[VIEWER], responses=ERRORS)
def ledger(ctx: Ctx) -> observed.Ledger:
    """The ledger so far. While workers run, an equation can be off by what is in flight."""
    return ctx.client.call(observed.GetLedger())


@router.get("/latency", dependencies=[VIEWER], responses=ERRORS)
def latency(ctx: Ctx) -> observed.Latency:
    """Answer times per transfer, of the target and of production: percentiles and buckets."""
    return ctx.client.call(observed.GetLatency())


@router.get("/protocols", dependencies=[VIEWER], responses=ERRORS)
def protocols(ctx: Ctx) -> observed.Protocols:
    """The protocols of the replayed connections."""
    return ctx.client.call(observed.GetProtocols())


@router.get("/sessions", dependencies=[VIEWER], responses=QUERY_ERRORS | documented(404))
def sessions(
    ctx: Ctx,
    transfer: Annotated[Id | None, Query(description="Only of this transfer.")] = None,
    state: Annotated[observed.SessionState | None, Query(description="Only in this state.")] = None,
    client: Annotated[
        str, Query(max_length=64, description="Only of the mirrored client with this address.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=observed.MAX_SESSIONS, description="At most this many.")] = 100,
) -> observed.Sessions:
    """The sessions that match every given filter."""
    return ctx.client.call(observed.ListSessions(transfer=transfer, state=state, client=client, limit=limit))


@router.get("/sessions/summary", dependencies=[VIEWER], responses=ERRORS)
def summary(ctx: Ctx) -> SessionsSummary:
    """Sessions by state and by what they wait for. Covers the first thousand; up to two seconds old."""
    found = ctx.sessions.newest()
    return SessionsSummary(
        looked_at=len(found.items),
        truncated=found.truncated,
        states=Counter(one.state for one in found.items),
        waits=Counter(one.waits for one in found.items),
    )


@router.get("/sessions/{session}", dependencies=[VIEWER], responses=QUERY_ERRORS | documented(404))
def session(
    ctx: Ctx, session: Annotated[str, Path(description="The session's id.", examples=["0.17.1a2b3c"])]
) -> observed.SessionStatus:
    """One session: its state, and what it waits for."""
    return ctx.client.call(observed.GetSession(session=session[:64]))


@router.post("/emergency-stop", dependencies=[OPERATOR], responses=documented(401, 403, 413, 429, 503))
def emergency_stop(request: Request, ctx: Ctx) -> contract.Emergency:
    """Reset every session within a second, and send nothing until the engine is armed again."""
    return _emergency(request, ctx.client.call(contract.Stop()))


@router.post("/arm", dependencies=[OPERATOR], responses=documented(401, 403, 413, 429, 503))
def arm(request: Request, ctx: Ctx) -> contract.Emergency:
    """End an emergency stop."""
    return _emergency(request, ctx.client.call(contract.Arm()))


@router.get("/audit", dependencies=[ADMIN], responses=documented(401, 403, 422, 429))
def audit(
    ctx: Ctx, limit: Annotated[int, Query(ge=1, le=10_000, description="At most this many.")] = 100
) -> list[Entry]:
    """The latest entries of the audit log, newest first."""
    return ctx.audit.last(limit)


def _emergency(request: Request, done: contract.Emergency) -> contract.Emergency:
    request.state.after = done.model_dump(mode="json")
    return done
