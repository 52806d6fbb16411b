"""``xdpcopy status|sessions|ledger|latency|stop|arm``, beside ``top`` and ``transfers``."""

from __future__ import annotations

from typing import Annotated

import typer

from appliance.contract.appliance import Emergency, Status
from appliance.contract.observed import MAX_SESSIONS, Latency, Ledger, Sessions, SessionState, SessionStatus
from appliance.remote import tables, top, transfers
from appliance.remote.asked import EXIT_STATUS, Asked, asking

Count = Annotated[int, typer.Option(min=1, max=MAX_SESSIONS, metavar="COUNT", help="Most sessions to show.")]


def add(app: typer.Typer) -> None:
    """Adds the commands."""
    for command in (status, top.top, sessions, ledger, latency, stop, arm):
        app.command(epilog=EXIT_STATUS)(command)
    app.add_typer(transfers.app, name="transfers")


@asking
def status(*, asked: Asked) -> None:
    """Show the appliance: version, ports, modes, and whether it is armed."""
    with asked.remote() as remote:
        asked.show(remote.get("appliance"), Status, tables.status)


@asking
def sessions(  # noqa: PLR0913 - one parameter for each option
    session: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Show everything about this one.")
    ] = None,
    *,
    transfer: Annotated[str | None, typer.Option(metavar="ID", help="Only of this transfer.")] = None,
    state: Annotated[SessionState | None, typer.Option(help="Only in this state.")] = None,
    client: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Only of this mirrored client.")
    ] = None,
    limit: Count = 100,
    asked: Asked,
) -> None:
    """Show sessions, their state and what they wait for."""
    with asked.remote() as remote:
        if session is not None:
            found = remote.get(f"sessions/{transfers.part(session)}")
            asked.show(found, SessionStatus, tables.session)
            return
        found = remote.get("sessions", transfer=transfer, state=state, client=client, limit=limit)
        asked.show(found, Sessions, tables.sessions)


@asking
def ledger(*, asked: Asked) -> None:
    """Show the ledger so far: every frame, session and byte under one heading."""
    with asked.remote() as remote:
        asked.show(remote.get("ledger"), Ledger, tables.ledger)


@asking
def latency(*, asked: Asked) -> None:
    """Show answer times per transfer, of the target and of production."""
    with asked.remote() as remote:
        asked.show(remote.get("latency"), Latency, tables.latency)


@asking
def stop(
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    asked: Asked,
) -> None:
    """Emergency stop: reset every session, and send nothing until arm."""
    with asked.remote() as remote:
        if not yes:
            question = f"Reset every session of {remote.where.api} and stop sending?"
            typer.confirm(question, abort=True, err=True)
        asked.show(remote.tell("POST", "emergency-stop"), Emergency, tables.emergency)


@asking
def arm(*, asked: Asked) -> None:
    """End an emergency stop: replay continues."""
    with asked.remote() as remote:
        asked.show(remote.tell("POST", "arm"), Emergency, tables.emergency)
