"""The doctor. An examination takes seconds and may send a SYN, so it is started by POST and read by GET."""

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
    """How the doctor shall look."""

    listen_s: float = Field(default=5.0, ge=0.1, le=60, description="Seconds to look at the mirror.")


@router.get("", dependencies=[VIEWER], responses=documented(401, 429, 503))
def read_examination(ctx: Ctx) -> Examination:
    """The newest examination: each check with its verdict, what was found, cause and cure."""
    return ctx.call(GetExamination())


@router.post(
    "", status_code=202, dependencies=[OPERATOR], responses=documented(401, 403, 409, 413, 422, 429, 503)
)
def start_examination(
    request: Request, ctx: Ctx, body: Annotated[NewExamination, Body(examples=[{"listen_s": 5}])]
) -> Examination:
    """Look for what stands in the way of a replay.

    Where no transfer replays live traffic the engine steps aside, and each target is sent a SYN that it must
    answer back to the test port. Otherwise nothing is sent, and the engine's counters are looked at.
    """
    done = ctx.call(StartExamination(listen_s=body.listen_s))
    request.state.after = done.model_dump(mode="json", include={"state", "probed", "listen_s"})
    return done
