"""Errors as application/problem+json (RFC 9457): title, status, detail, and one problem per field."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from appliance.contract.base import ControlError, ErrorKind, Problem
from appliance.contract.problems import problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

NOT_TEXT = "There was an error parsing the body"  # FastAPI's, with status 400

STATUS = {
    ErrorKind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    ErrorKind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    ErrorKind.CONFLICT: HTTPStatus.CONFLICT,
    ErrorKind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    ErrorKind.NO_ROOM: HTTPStatus.INSUFFICIENT_STORAGE,
    ErrorKind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


class ProblemDetails(BaseModel):
    """RFC 9457. Each of ``problems`` gives a field, its value, and a sentence with the cure."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    problems: tuple[Problem, ...] = ()


class ProblemResponse(JSONResponse):
    """A response whose body is a problem."""

    media_type = MEDIA_TYPE


def problem(
    status: int,
    detail: str,
    found: Sequence[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """Build the response."""
    body = ProblemDetails(
        title=HTTPStatus(status).phrase, status=status, detail=detail, problems=tuple(found)
    )
    return ProblemResponse(body.model_dump(mode="json"), status, headers=dict(headers or {}))


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        for status in statuses
    }


def _forbidden(request: Request) -> ProblemResponse | None:
    """A client without the role learns nothing about its body, which FastAPI checks before the role."""
    for each in request.scope["route"].dependencies:
        try:
            each.dependency(request, None)
        except HTTPException as error:
            return problem(error.status_code, str(error.detail))
    return None


def install(app: FastAPI) -> None:
    """Turn every error of the application into a problem."""

    @app.exception_handler(ControlError)
    def _refused(_: Request, error: ControlError) -> ProblemResponse:
        status = STATUS[error.kind]
        later = {"Retry-After": "1"} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
        return problem(status, str(error), error.problems, later)

    @app.exception_handler(RequestValidationError)
    def _unusable(request: Request, error: RequestValidationError) -> ProblemResponse:
        found = problems(error)  # type: ignore[arg-type]  # the same errors()
        return _forbidden(request) or problem(422, "; ".join(each.message for each in found), found)

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> ProblemResponse:
        if error.detail == NOT_TEXT:
            return _forbidden(request) or problem(422, "body: not JSON in UTF-8; send a JSON object")
        return problem(error.status_code, str(error.detail), headers=error.headers)

    @app.exception_handler(Exception)
    def _bug(_: Request, error: Exception) -> ProblemResponse:
        log.error("a request failed", error=repr(error))
        return problem(500, "internal error; the log has the details")
