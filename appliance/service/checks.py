"""Validates requested transfers: as a configuration file does, and a little more strictly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from appliance.contract.base import ErrorKind, Problem, refused
from appliance.engine.forecast import forecast
from appliance.errors import ConfigError
from appliance.settings.config import Config
from appliance.settings.loading import message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.service.store import SavedTransfer

_INDEX = re.compile(r"transfers\[(\d+)\]")


def checked(base: Config, transfers: Sequence[SavedTransfer]) -> Config:
    """The configuration with these transfers. Raises ControlError of kind invalid.

    A configuration without allowed targets allows those of its own transfers: access to the socket is not
    enough to point the appliance at another host.
    """
    try:
        made = Config.model_validate({**dict(base), "transfers": tuple(one.settings for one in transfers)})
        forecast(made)
    except ValidationError as error:
        raise invalid([_named(message(each), transfers) for each in error.errors()]) from error
    except ConfigError as error:
        raise invalid([_named(each, transfers) for each in error.problems]) from error
    outside = _outside(base, transfers)
    if outside:
        raise invalid(outside)
    return made


def _outside(base: Config, transfers: Sequence[SavedTransfer]) -> list[Problem]:
    allowed = {one.target.address for one in base.transfers}
    if base.safety.allowed_targets is not None:
        return []
    return [
        Problem(
            field="settings.target",
            value=str(one.settings.target),
            message=f"transfer '{one.id}': '{one.settings.target}' is no target of the configuration file;"
            " add its network to safety.allowed_targets there",
        )
        for one in transfers
        if one.settings.target.address not in allowed
    ]


def problems(error: ValidationError) -> list[Problem]:
    """A validation error, as the problems of an answer."""
    return [
        Problem(field=_dotted(each["loc"]), value=_plain(each["input"]), message=_sentence(each))
        for each in error.errors()
    ]


def invalid(found: Sequence[Problem]) -> Exception:
    """A refusal for these reasons."""
    return refused(ErrorKind.INVALID, "; ".join(each.message for each in found), *found)


def _named(sentence: str, transfers: Sequence[SavedTransfer]) -> Problem:
    """Replaces list indices with ids, because the caller never sees the list."""
    path, _, rest = sentence.partition(": ")
    field = _INDEX.sub("settings", path) if rest and _INDEX.match(path) else ""

    def name(found: re.Match[str]) -> str:
        return f"transfer '{transfers[int(found[1])].id}'"

    return Problem(field=field, message=_INDEX.sub(name, sentence))


def _dotted(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


def _sentence(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    if error["type"] == "value_error":
        return message(error)
    return f"{_dotted(error['loc']) or 'the request'}: it {message(error)}"


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else None
