"""Options that several commands share, as a dataclass with one field for each."""

from __future__ import annotations

import inspect
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def with_options(kind: type[Any], command: Callable[..., None]) -> Callable[..., None]:
    """Replaces the command's parameter ``asked``, of this kind, by one option for each of its fields."""

    @wraps(command)
    def wrapped(**given: Any) -> None:  # noqa: ANN401 - what typer has parsed
        asked = kind(**{one.name: given.pop(one.name) for one in fields(kind)})
        command(asked=asked, **given)

    hints = get_type_hints(kind, include_extras=True)
    own = [
        one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "asked"
    ]
    shared = [
        inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name]
        )
        for one in fields(kind)
    ]
    del wrapped.__wrapped__
    wrapped.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
    return wrapped
