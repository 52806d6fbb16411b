"""The doctor. An examination takes seconds and may send SYNs, so POST starts it and GET reads the result."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import Field

from api.context import OPERATOR, VIEWER, Ctx
from api.errors import documented
from appliance.contract.doctor import Examination, GetExamination, StartExamination
from appliance.settings.model import Model

router = APIRouter(prefix="/doctor", tags=["doctor"])


class NewExamination(Model):
    """How to examine."""

    listen_s: float = Field(default=5.0, ge=0.1, le=60, description="How many seconds to watch the mirror.")


@router.get("", dependencies=[VIEWER], responses=documented(401, 429, 503))
def read_examination(ctx: Ctx) -> Examination:
    """The latest examination: each check with its verdict, finding, cause and cure."""
    return ctx.client.call(GetExamination())


@router.post(
    "", status_code=202, dependencies=[OPERATOR], responses=documented(401, 403, 409, 413, 422, 429, 503)
)
def start_examination(
    request: Request, ctx: Ctx, body: Annotated[NewExamination, Body(examples=[{"listen_s": 5}])]
) -> Examination:
    """Find out what prevents a replay.

    If no transfer replays live traffic, the engine steps aside and the doctor sends each target a SYN, the
    answer to which must reach the test port. Otherwise it sends nothing and examines the engine's counters.
    """
    done = ctx.client.call(StartExamination(listen_s=body.listen_s))
    request.state.after = done.model_dump(mode="json", include={"state", "probed", "listen_s"})
    return done
