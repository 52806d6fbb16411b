"""The commands ``xdpcopy api`` and ``xdpcopy token``, plugged in by an entry point."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.tokens import Role, Tokens
from appliance.errors import ConfigError
from appliance.settings.api import Api
from appliance.settings.loading import load

ConfigFile = Annotated[Path, typer.Option(metavar="FILE", help="Configuration file.")]
OptionalFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file; default settings if omitted."),
]

token_app = typer.Typer(help="Manage the api's tokens.", no_args_is_help=True)


def add(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(api)
    app.add_typer(token_app, name="token")


def api(*, config: ConfigFile) -> None:
    """Serve REST, the dashboard and metrics until SIGTERM. The engine may start and stop meanwhile."""
    from api.serve import serve  # noqa: PLC0415 - only this command needs uvicorn and FastAPI

    serve(load(config))


@token_app.command("create")
def create(
    *,
    name: Annotated[str, typer.Option(help="Its owner's name, for the audit log.")],
    role: Annotated[
        Role, typer.Option(help="viewer: read; operator: change things too; admin: read the audit log too.")
    ],
    config: OptionalFile = None,
) -> None:
    """Create a token and print it. Only its hash is stored, so it cannot be shown again."""
    if not name or len(name) > 64:  # noqa: PLR2004 - as in tokens.Token
        raise ConfigError(f"--name: '{name}' is not usable; give 1 to 64 characters")
    print(_tokens(config).create(name, role))


@token_app.command("list")
def list_tokens(*, config: OptionalFile = None) -> None:
    """List the tokens: id, owner, role."""
    table = Table("id", "name", "role", "created", box=None)
    for token in _tokens(config).all():
        made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(token.created_at))
        table.add_row(token.id, token.name, token.role, made)
    Console().print(table)


@token_app.command("revoke")
def revoke(which: Annotated[str, typer.Argument(metavar="ID")], *, config: OptionalFile = None) -> None:
    """Revoke a token. It is refused from the next request on."""
    if not _tokens(config).revoke(which):
        raise ConfigError(f"there is no token '{which}'; xdpcopy token list shows all ids")


def _tokens(config: Path | None) -> Tokens:
    settings = load(config).api if config is not None else None
    return Tokens((settings or Api()).tokens)
