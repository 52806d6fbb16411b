"""The options that every command for the api shares, and how answers are shown."""

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
    "Exit status: 0 done; 1 the api cannot be reached, or failed; 2 the request is invalid; 3 the token is"
    " missing or lacks the role; 4 no such transfer or session; 5 it has changed meanwhile, or conflicts;"
    " 6 the engine is down, or cannot do it now."
)


@dataclass(frozen=True)
class Asked:
    """Where the api is, and how to show its answer."""

    api: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Address of the api (http://127.0.0.1:8600). [XDPCOPY_API]"),
    ] = None
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The token; visible to others in ps. [XDPCOPY_TOKEN]")
    ] = None
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File that holds the token. [XDPCOPY_TOKEN_FILE]")
    ] = None
    cacert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Trust only this certificate, PEM. [XDPCOPY_CACERT]")
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the api's answer as it is.")] = False

    def remote(self) -> Remote:
        """A client for the api. Raises ConfigError."""
        return Remote(
            connection(api=self.api, token=self.token, token_file=self.token_file, cacert=self.cacert)
        )

    def show(self, said: object, kind: type[M], table: Callable[[M], RenderableType]) -> None:
        """Prints an answer, as JSON or as a table."""
        if self.as_json:
            print(json.dumps(said, indent=2))
        else:
            console().print(table(read(kind, said)))


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces the command's parameter ``asked`` by the options of Asked."""
    return with_options(Asked, command)


def console() -> Console:
    """A console for plain text: an IPv6 address in brackets is no markup, and a pipe is not wrapped."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(markup=False, highlight=False, emoji=False, width=width)


def read(kind: type[M], said: Any) -> M:  # noqa: ANN401 - JSON
    """Parses an answer. Raises RemoteError if it is from another version."""
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        raise RemoteError(
            f"the api's answer cannot be read ({error.error_count()} fields of {kind.__name__}); use xdpcopy"
            " of the same version, or --json"
        ) from error
