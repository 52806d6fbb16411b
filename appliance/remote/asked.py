"""The options of every command that asks the api, and how its answer is shown."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console

from appliance.options import with_options
from appliance.remote.client import Remote, RemoteError
from appliance.remote.connection import connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

M = TypeVar("M", bound=BaseModel)

WIDE = 1000
EXIT_STATUS = (
    "Exit status: 0 done; 1 the api cannot be reached, or failed; 2 what was asked cannot be used; 3 the"
    " token is missing or not enough; 4 there is no such transfer or session; 5 it has changed meanwhile, or"
    " conflicts; 6 the engine is down, or cannot do it now."
)


@dataclass(frozen=True)
class Asked:
    """Where to ask, and how to answer."""

    api: Annotated[
        str | None, typer.Option(metavar="URL", help="The api: http://127.0.0.1:8600. [XDPCOPY_API]")
    ] = None
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="A token; others see it in ps. [XDPCOPY_TOKEN]")
    ] = None
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that holds it. [XDPCOPY_TOKEN_FILE]")
    ] = None
    cacert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trust this certificate alone, PEM. [XDPCOPY_CACERT]")
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="As the api answers it.")] = False

    def remote(self) -> Remote:
        """The api. Raises ConfigError."""
        return Remote(
            connection(api=self.api, token=self.token, token_file=self.token_file, cacert=self.cacert)
        )

    def show(self, said: object, kind: type[M], table: Callable[[M], RenderableType]) -> None:
        """Print it, as JSON or as a table."""
        if self.as_json:
            print(json.dumps(said, indent=2))
        else:
            console().print(table(read(kind, said)))


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """The command's parameter ``asked`` becomes the options of Asked."""
    return with_options(Asked, command)


def console() -> Console:
    """What is printed is text: an IPv6 address in brackets is not a style. A pipe has room for all of it."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def read(kind: type[M], said: Any) -> M:  # noqa: ANN401 - JSON
    """An answer. Raises RemoteError if it is one of another version."""
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        raise RemoteError(
            f"the api's answer is not understood ({error.error_count()} fields of {kind.__name__}); use the"
            " xdpcopy of its version, or --json"
        ) from error
