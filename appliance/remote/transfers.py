"""``xdpcopy transfers list|create|show|set|pause|resume|delete``.

Settings are written ``name=value``, with the names of docs/configuration.md. A value that is JSON is taken as
such (``3``, ``true``, ``null``), anything else as text; so nothing here depends on which settings exist.
"""

from __future__ import annotations

import difflib
import json
import re
from functools import partial
from typing import Annotated, Any

import typer

from appliance.contract.transfers import Applied, Transfers, TransferStatus
from appliance.errors import ApplianceError, ConfigError
from appliance.remote import tables
from appliance.remote.asked import EXIT_STATUS, Asked, asking
from appliance.remote.client import Remote
from appliance.remote.connection import connection
from appliance.settings.transfer import Transfer

app = typer.Typer(help="Transfers of a running appliance.", no_args_is_help=True)
PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
command = partial(app.command, epilog=EXIT_STATUS)


def names(incomplete: str) -> list[str]:
    """Shell completion: the transfers, if the api can be reached."""
    try:
        with Remote(connection()) as remote:
            found = remote.get("transfers")["items"]
    except ApplianceError:
        return []
    return [each["id"] for each in found if each["id"].startswith(incomplete)]


def settings(incomplete: str) -> list[str]:
    """Shell completion: the settings."""
    return [f"{name}=" for name in Transfer.model_fields if name.startswith(incomplete)]


Id = Annotated[str, typer.Argument(metavar="ID", help="The transfer's id.", autocompletion=names)]
Settings = Annotated[
    list[str],
    typer.Argument(
        metavar="SETTING=VALUE",
        help="As in docs/configuration.md, like multiplier=3.",
        autocompletion=settings,
    ),
]
Version = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Only if its version is still N; otherwise exit status 5."),
]


@command("list")
@asking
def list_transfers(*, asked: Asked) -> None:
    """Show all transfers."""
    with asked.remote() as remote:
        asked.show(remote.get("transfers"), Transfers, tables.transfers)


@command()
@asking
def show(transfer: Id, *, asked: Asked) -> None:
    """Show one transfer with all its settings."""
    with asked.remote() as remote:
        asked.show(remote.get(f"transfers/{part(transfer)}"), TransferStatus, tables.transfer)


@command()
@asking
def create(
    chosen: Settings,
    *,
    transfer: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="ID", help="Its id; running the same command again then changes nothing."
        ),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused.")] = False,
    asked: Asked,
) -> None:
    """Create a transfer: source=80 target=198.19.0.2:8080."""
    body: dict[str, Any] = {"settings": given(chosen), "paused": paused}
    if transfer is not None:
        body["id"] = transfer
    with asked.remote() as remote:
        asked.show(remote.tell("POST", "transfers", body), Applied, tables.applied)


@command("set")
@asking
def change(transfer: Id, chosen: Settings, *, version: Version = None, asked: Asked) -> None:
    """Change settings while it runs: multiplier=3 sample_percent=10; null restores the default."""
    with asked.remote() as remote:
        done = remote.tell("PATCH", f"transfers/{part(transfer)}", given(chosen), version)
        asked.show(done, Applied, tables.applied)


@command()
@asking
def pause(transfer: Id, *, version: Version = None, asked: Asked) -> None:
    """Reset a transfer's sessions and admit no new ones."""
    _act(asked, "POST", f"{part(transfer)}/pause", version)


@command()
@asking
def resume(transfer: Id, *, version: Version = None, asked: Asked) -> None:
    """Resume a paused transfer."""
    _act(asked, "POST", f"{part(transfer)}/resume", version)


@command()
@asking
def delete(transfer: Id, *, version: Version = None, asked: Asked) -> None:
    """Reset a transfer's sessions and delete it."""
    _act(asked, "DELETE", part(transfer), version)


def _act(asked: Asked, method: str, path: str, version: int | None) -> None:
    with asked.remote() as remote:
        asked.show(remote.tell(method, f"transfers/{path}", version=version), Applied, tables.applied)


def part(text: str) -> str:
    """An id as one part of a path. Raises ConfigError if it cannot be one."""
    if not PART.fullmatch(text):
        raise ConfigError(f"'{text}' is not an id; xdpcopy transfers list, or sessions, shows them")
    return text


def given(chosen: list[str]) -> dict[str, Any]:
    """The settings on the command line. Raises ConfigError."""
    found: dict[str, Any] = {}
    for each in chosen:
        name, equals, value = each.partition("=")
        if not equals:
            raise ConfigError(f"'{each}' is not a setting; write name=value, like multiplier=3")
        if name not in Transfer.model_fields:
            close = difflib.get_close_matches(name, Transfer.model_fields, n=1)
            cure = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(Transfer.model_fields)}"
            raise ConfigError(f"{name}: there is no such setting; {cure}")
        if name in found:
            raise ConfigError(f"{name}: it is given twice; leave one out")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text, parse_constant=str)
    except ValueError:
        return text
