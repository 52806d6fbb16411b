"""Capture files: upload, list, delete. They are parsed in this process, which has no privileges."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from api.context import OPERATOR, VIEWER, Context, Ctx
from api.errors import documented
from appliance.contract.base import ErrorKind, refused
from appliance.contract.captures import Capture, CaptureId
from appliance.contract.client import EngineDownError
from appliance.contract.replays import ENDED, ListReplays

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

router = APIRouter(prefix="/captures", tags=["captures"])

CHUNK = 1 << 20
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself, pcap or pcapng.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
One = Annotated[CaptureId, Path(description="The capture's id.", examples=["0123456789abcdef"])]


class Captures(BaseModel):
    """All captures, oldest first; ``bytes`` they take up, and the limits per file and in total."""

    items: tuple[Capture, ...]
    bytes: int
    max_bytes: int
    total_bytes: int


@router.get("", dependencies=[VIEWER], responses=documented(401, 429, 503))
def list_captures(ctx: Ctx) -> Captures:
    """The uploaded capture files."""
    found = _on_disk(ctx.library.all)
    settings = ctx.library.settings
    return Captures(
        items=tuple(found),
        bytes=sum(one.bytes for one in found),
        max_bytes=settings.max_bytes,
        total_bytes=settings.total_bytes,
    )


@router.post(
    "",
    status_code=201,
    dependencies=[OPERATOR],
    openapi_extra=BODY,
    responses=documented(400, 401, 403, 413, 422, 429, 503, 507)
    | {200: {"model": Capture, "description": "This file has been uploaded before."}},
)
async def upload_capture(
    request: Request,
    response: Response,
    ctx: Ctx,
    name: Annotated[
        str,
        Query(max_length=100, description="A display name, not a path.", examples=["monday.pcapng"]),
    ] = "",
) -> Capture:
    """Upload a capture file. All of it is checked; a file that cannot be replayed is refused, not kept."""
    found, is_new = await _take(request, ctx, name)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"{request.url.path}/{found.id}"
    request.state.after = found.model_dump(mode="json")
    return found


@router.get("/{capture}", dependencies=[VIEWER], responses=documented(401, 404, 422, 429, 503))
def read_capture(ctx: Ctx, capture: One) -> Capture:
    """One capture file: format, link type, frames, times, and whether it is damaged."""
    return _on_disk(lambda: ctx.library.get(capture))


@router.delete(
    "/{capture}", dependencies=[OPERATOR], responses=documented(401, 403, 404, 409, 413, 422, 429, 503)
)
def delete_capture(request: Request, ctx: Ctx, capture: One) -> Capture:
    """Delete a capture file, unless a replay needs it. The answer describes the deleted file."""
    found = _on_disk(lambda: ctx.library.get(capture))
    request.state.before = found.model_dump(mode="json")
    _check_unused(ctx, capture)
    return _on_disk(lambda: ctx.library.delete(capture))


async def _take(request: Request, ctx: Context, name: str) -> tuple[Capture, bool]:
    who = str(request.state.token.name)
    incoming = await to_thread.run_sync(_on_disk, lambda: ctx.library.incoming(name, who).__enter__())
    try:
        pending = bytearray()
        async for chunk in request.stream():
            pending += chunk
            if len(pending) >= CHUNK:
                await to_thread.run_sync(_on_disk, lambda data=bytes(pending): incoming.write(data))
                pending.clear()
        await to_thread.run_sync(_on_disk, lambda: incoming.write(bytes(pending)))
        return await to_thread.run_sync(_on_disk, incoming.finish)
    except ClientDisconnect:
        raise HTTPException(400, "the upload broke off; send the file again") from None
    finally:
        incoming.__exit__(None, None, None)


def _on_disk(work: Callable[[], T]) -> T:
    """Report a full or read-only disk as such."""
    try:
        return work()
    except OSError as error:
        kind = ErrorKind.NO_ROOM if error.errno == errno.ENOSPC else ErrorKind.UNAVAILABLE
        raise refused(kind, f"{error.filename or 'the disk'}: {error.strerror}") from error


def _check_unused(ctx: Context, capture: str) -> None:
    try:
        replays = ctx.client.call(ListReplays()).items
    except EngineDownError:
        return
    for one in replays:
        if one.state not in ENDED and capture in one.options.captures:
            raise refused(
                ErrorKind.CONFLICT, f"replay '{one.id}' needs this file; wait until it ends, or cancel it"
            )
