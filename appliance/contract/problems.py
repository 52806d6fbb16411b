"""What is wrong with a request: pydantic's findings as sentences, one for each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.contract.base import ErrorKind, Problem, refused
from appliance.settings.loading import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError


def problems(error: ValidationError) -> list[Problem]:
    """A problem for each field of a request."""
    return [
        Problem(field=_dotted(each["loc"]), value=_plain(each["input"]), message=_sentence(each))
        for each in error.errors()
    ]


def invalid(found: Sequence[Problem]) -> Exception:
    """The error to raise for a request with these problems."""
    return refused(ErrorKind.INVALID, "; ".join(each.message for each in found), *found)


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


def _sentence(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    if error["type"] == "value_error":
        return message(error)
    return f"{_dotted(error['loc']) or 'the request'}: it {message(error)}"


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else None
