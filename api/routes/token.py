"""The token that a request carries."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api.context import VIEWER
from api.errors import documented
from api.tokens import Role, Token  # noqa: TC001 - FastAPI reads the annotations at run time

router = APIRouter(tags=["appliance"])


class Holder(BaseModel):
    """A token without its hash: ``name`` is its owner, ``role`` what it may do."""

    id: str
    name: str
    role: Role


@router.get("/token", dependencies=[VIEWER], responses=documented(401, 429, 503))
def token(request: Request) -> Holder:
    """The token that this request carries."""
    found: Token = request.state.token
    return Holder(id=found.id, name=found.name, role=found.role)
