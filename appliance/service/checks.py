"""Whether transfers that somebody wants may be: as for a configuration file, and a little more."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from appliance.contract.base import Problem
from appliance.contract.problems import invalid
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

    Where the configuration names no allowed targets they are those of its own transfers: nobody who may use
    the socket can make the appliance send to another host.
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


def _named(sentence: str, transfers: Sequence[SavedTransfer]) -> Problem:
    """Positions in the list become ids: who asks does not see the list."""
    path, _, rest = sentence.partition(": ")
    field = _INDEX.sub("settings", path) if rest and _INDEX.match(path) else ""

    def name(found: re.Match[str]) -> str:
        return f"transfer '{transfers[int(found[1])].id}'"

    return Problem(field=field, message=_INDEX.sub(name, sentence))
