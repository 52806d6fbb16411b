"""Replays of capture files: start, watch, pause, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Path, Request, Response
from pydantic import Field

from api.context import OPERATOR, VIEWER, Ctx
from api.errors import documented
from appliance.contract import replays as offline
from appliance.contract.observed import Ledger  # noqa: TC001 - FastAPI reads the annotations at run time
from appliance.contract.replays import Replay, ReplayChanged, ReplayOptions, Replays
from appliance.settings.model import Id, Model

router = APIRouter(prefix="/replays", tags=["replays"])

EXAMPLES = [
    {"id": "monday", "options": {"captures": ["0123456789abcdef"], "transfers": ["shop"], "speed": 2}},
    {
        "options": {
            "captures": ["0123456789abcdef"],
            "settings": [{"source": "80", "target": "198.19.0.2:8080"}],
            "fast": True,
        }
    },
]
READ = documented(401, 404, 422, 429, 503)
CHANGE = documented(401, 403, 404, 409, 413, 422, 429, 503)

One = Annotated[Id, Path(description="The replay's id.", examples=["monday"])]


class NewReplay(Model):
    """A replay to start."""

    id: Id | None = Field(default=None, description="Left out: the engine picks one.")
    options: ReplayOptions


@router.get("", dependencies=[VIEWER], responses=documented(401, 429, 503))
def list_replays(ctx: Ctx) -> Replays:
    """All replays of captures, newest first."""
    return ctx.client.call(offline.ListReplays())


@router.post(
    "",
    status_code=201,
    dependencies=[OPERATOR],
    responses=CHANGE
    | {200: {"model": Replay, "description": "This replay was started before, with the same options."}},
)
def start_replay(
    request: Request, response: Response, ctx: Ctx, body: Annotated[NewReplay, Body(examples=EXAMPLES)]
) -> Replay:
    """Start replaying captures on the test port. Refused while a transfer replays live traffic."""
    done = ctx.client.call(offline.StartReplay(replay=body.id, options=body.options))
    response.status_code = 201 if done.changed else 200
    response.headers["Location"] = f"{request.url.path}/{done.replay.id}"
    return _noted(request, done)


@router.get("/{replay}", dependencies=[VIEWER], responses=READ)
def read_replay(ctx: Ctx, replay: One) -> Replay:
    """One replay: its progress and estimated end, or its summary once it has ended."""
    return ctx.client.call(offline.GetReplay(replay=replay))


@router.get("/{replay}/ledger", dependencies=[VIEWER], responses=READ)
def read_replay_ledger(ctx: Ctx, replay: One) -> Ledger:
    """The ledger of a replay that has ended: equations, drops and ends by reason, counters."""
    return ctx.client.call(offline.GetReplayLedger(replay=replay))


@router.post("/{replay}/pause", dependencies=[OPERATOR], responses=CHANGE)
def pause_replay(request: Request, ctx: Ctx, replay: One) -> Replay:
    """Stop the captures' clock. Sessions carry on with what they already have."""
    return _noted(request, ctx.client.call(offline.PauseReplay(replay=replay)))


@router.post("/{replay}/resume", dependencies=[OPERATOR], responses=CHANGE)
def resume_replay(request: Request, ctx: Ctx, replay: One) -> Replay:
    """Let the captures' clock run on from where it stopped."""
    return _noted(request, ctx.client.call(offline.ResumeReplay(replay=replay)))


@router.post("/{replay}/cancel", dependencies=[OPERATOR], responses=CHANGE)
def cancel_replay(request: Request, ctx: Ctx, replay: One) -> Replay:
    """Reset all sessions of the replay and end it."""
    return _noted(request, ctx.client.call(offline.CancelReplay(replay=replay)))


@router.delete("/{replay}", dependencies=[OPERATOR], responses=CHANGE)
def delete_replay(request: Request, ctx: Ctx, replay: One) -> Replay:
    """Forget a replay that has ended. The answer is its last state."""
    done = ctx.client.call(offline.DeleteReplay(replay=replay))
    request.state.before = done.replay.model_dump(mode="json")
    return done.replay


def _noted(request: Request, done: ReplayChanged) -> Replay:
    request.state.after = done.replay.model_dump(mode="json", exclude={"progress", "summary"})
    return done.replay
