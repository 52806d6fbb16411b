"""Transfers: what is replayed to which target. They can change while the engine runs."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Request, Response
from pydantic import Field, ValidationError
from starlette.exceptions import HTTPException

from api.context import OPERATOR, VIEWER, Context, Ctx
from api.errors import documented
from appliance.contract import transfers as contract
from appliance.contract.base import ControlError, ErrorKind
from appliance.contract.problems import invalid, problems
from appliance.contract.transfers import Applied, GetTransfer, ListTransfers, Transfers, TransferStatus
from appliance.settings.model import Id, Model
from appliance.settings.transfer import Transfer

router = APIRouter(prefix="/transfers", tags=["transfers"])

EXAMPLE = {"id": "shop", "settings": {"source": "80", "target": "198.19.0.2:8080", "multiplier": 3}}
CHANGE = documented(401, 403, 404, 409, 412, 413, 422, 429, 503)
READ = documented(401, 404, 422, 429, 503)

TransferId = Annotated[Id, Path(description="The transfer's id.", examples=["shop"])]
IfMatch = Annotated[
    str | None,
    Header(description="Apply only if the transfer still has this ETag; otherwise 412.", examples=['"3"']),
]


class NewTransfer(Model):
    """A new transfer."""

    id: Id | None = Field(default=None, description="Left out: the engine picks one.")
    settings: Transfer
    paused: bool = Field(default=False, description="Create it without replaying yet.")


@router.get("", dependencies=[VIEWER], responses=documented(401, 429, 503))
def list_transfers(ctx: Ctx) -> Transfers:
    """All transfers, oldest first."""
    return ctx.client.call(ListTransfers())


@router.post(
    "",
    status_code=201,
    dependencies=[OPERATOR],
    responses=CHANGE
    | {200: {"model": Applied, "description": "This transfer exists already, with the same settings."}},
)
def create_transfer(
    request: Request,
    response: Response,
    ctx: Ctx,
    body: Annotated[NewTransfer, Body(examples=[EXAMPLE])],
) -> Applied:
    """Create a transfer. With an id, repeating the request changes nothing."""
    asked = contract.CreateTransfer(transfer=body.id, settings=body.settings, paused=body.paused)
    done = ctx.client.call(asked)
    response.status_code = 201 if done.changed else 200
    response.headers["Location"] = f"{request.url.path}/{done.transfer.id}"
    return _applied(request, response, None, done)


@router.get("/{transfer}", dependencies=[VIEWER], responses=READ)
def read_transfer(response: Response, ctx: Ctx, transfer: TransferId) -> TransferStatus:
    """One transfer. Its ETag goes into If-Match."""
    found = ctx.client.call(GetTransfer(transfer=transfer))
    response.headers["ETag"] = _etag(found)
    return found


@router.patch("/{transfer}", dependencies=[OPERATOR], responses=CHANGE)
def change_transfer(  # noqa: PLR0913, PLR0917 - one per part of the request
    request: Request,
    response: Response,
    ctx: Ctx,
    transfer: TransferId,
    body: Annotated[
        dict[str, Any],
        Body(
            description="The settings to change, named as in the creation of a transfer. This is a JSON merge"
            " patch (RFC 7396): null restores the default.",
            examples=[{"multiplier": 3, "sample_percent": 10}],
        ),
    ],
    if_match: IfMatch = None,
) -> Applied:
    """Change settings. Every worker uses them once this returns; open sessions keep the old ones."""
    before = _present(request, ctx, transfer, if_match)
    merged = before.settings.model_dump(mode="json") | body
    try:
        settings = Transfer.model_validate(
            {name: value for name, value in merged.items() if value is not None}
        )
    except ValidationError as error:
        raise invalid(problems(error)) from error
    asked = contract.ReplaceTransfer(transfer=transfer, settings=settings, version=before.version)
    return _applied(request, response, before, _call(ctx, asked))


@router.delete("/{transfer}", dependencies=[OPERATOR], responses=CHANGE)
def delete_transfer(
    request: Request, response: Response, ctx: Ctx, transfer: TransferId, if_match: IfMatch = None
) -> Applied:
    """Reset the transfer's sessions and delete it. The answer is its last state."""
    before = _present(request, ctx, transfer, if_match)
    done = _call(ctx, contract.DeleteTransfer(transfer=transfer, version=before.version))
    made = _applied(request, response, before, done)
    request.state.after = None
    return made


@router.post("/{transfer}/pause", dependencies=[OPERATOR], responses=CHANGE)
def pause_transfer(
    request: Request, response: Response, ctx: Ctx, transfer: TransferId, if_match: IfMatch = None
) -> Applied:
    """Reset the transfer's sessions and admit no new ones."""
    before = _present(request, ctx, transfer, if_match)
    asked = contract.PauseTransfer(transfer=transfer, version=before.version)
    return _applied(request, response, before, _call(ctx, asked))


@router.post("/{transfer}/resume", dependencies=[OPERATOR], responses=CHANGE)
def resume_transfer(
    request: Request, response: Response, ctx: Ctx, transfer: TransferId, if_match: IfMatch = None
) -> Applied:
    """Resume a paused transfer."""
    before = _present(request, ctx, transfer, if_match)
    asked = contract.ResumeTransfer(transfer=transfer, version=before.version)
    return _applied(request, response, before, _call(ctx, asked))


def _etag(transfer: TransferStatus) -> str:
    return f'"{transfer.version}"'


def _present(request: Request, ctx: Context, transfer: str, if_match: str | None) -> TransferStatus:
    """The current transfer, noted for the audit log. Raises 412 if it does not match ``if_match``."""
    found = ctx.client.call(GetTransfer(transfer=transfer))
    request.state.before = found.model_dump(mode="json")
    tags = re.findall(r'"[^"]*"', if_match or "")
    if if_match is not None and if_match.strip() != "*" and _etag(found) not in tags:
        raise HTTPException(412, f"transfer '{transfer}' now has ETag {_etag(found)}; read it again")
    return found


def _call(
    ctx: Context,
    asked: contract.ReplaceTransfer
    | contract.DeleteTransfer
    | contract.PauseTransfer
    | contract.ResumeTransfer,
) -> Applied:
    try:
        return ctx.client.call(asked)
    except ControlError as error:
        if error.kind is ErrorKind.CONFLICT:
            raise HTTPException(412, f"{error}; read it again") from error
        raise


def _applied(request: Request, response: Response, before: TransferStatus | None, done: Applied) -> Applied:
    response.headers["ETag"] = _etag(done.transfer)
    request.state.after = done.transfer.model_dump(mode="json")
    if before is not None and not done.changed:
        request.state.before = request.state.after
    return done
