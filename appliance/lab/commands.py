"""``xdpcopy lab up|down|status``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance.lab import topology
from appliance.lab.lab import Lab, LabError
from appliance.lab.topology import Direction  # noqa: TC001 - typer reads the annotations at run time

app = typer.Typer(no_args_is_help=True, help="The lab: a mirrored production site in network namespaces.")

Prefix = Annotated[str, typer.Option(help="Prefix of the namespaces' names.")]


@app.command()
def up(
    prefix: Prefix = "xdpcopy",
    queues: Annotated[int, typer.Option(help="Queues of mirror0 and test0.")] = 1,
    direction: Annotated[Direction, typer.Option(help="What the switch mirrors.")] = "both",
    clients: Annotated[int, typer.Option(help="Number of client addresses, of IPv4 and IPv6 each.")] = 1,
    target_mtu: Annotated[int, typer.Option(help="MTU of the target's device.")] = topology.STANDARD_MTU,
) -> None:
    """Build the lab. A lab with the same settings is left as it is."""
    try:
        lab = Lab(prefix, queues=queues, direction=direction, clients=clients, target_mtu=target_mtu)
        built = lab.up()
    except (LabError, ValueError) as error:
        raise _failure(error) from error
    print(f"the lab {prefix} is up" if built else f"the lab {prefix} was already up")


@app.command()
def down(prefix: Prefix = "xdpcopy") -> None:
    """Stop everything in the lab and remove it, even if only parts of it exist."""
    try:
        removed = Lab(prefix).down()
    except (LabError, ValueError) as error:
        raise _failure(error) from error
    print(f"the lab {prefix} is gone" if removed else f"there was no lab {prefix}")


@app.command()
def status(prefix: Prefix = "xdpcopy") -> None:
    """Show the lab's devices and their counters. Exit status 3: the lab is missing or incomplete."""
    try:
        lab = Lab(prefix)
        Console().print(_table(lab))
        complete = lab.complete()
    except (LabError, ValueError) as error:
        raise _failure(error) from error
    if not complete:
        print(f"the lab {prefix} is not up; `xdpcopy lab up` builds it")
        raise typer.Exit(3)


def _table(lab: Lab) -> Table:
    table = Table(title=f"lab {lab.settings.prefix}: namespaces {lab.settings.prefix}-…")
    for heading in ("in", "device", "state", "MTU", "queues", "addresses", "received", "sent", "dropped"):
        words = heading in {"in", "device", "state", "addresses"}
        table.add_column(heading, justify="left" if words else "right", no_wrap=heading in {"in", "device"})
    for device in lab.devices():
        shown = list(device.addresses[:2])
        if len(device.addresses) > len(shown):
            shown.append(f"and {len(device.addresses) - len(shown)} more")
        table.add_row(
            device.role,
            device.name,
            device.state,
            str(device.mtu),
            str(device.queues),
            "\n".join(shown),
            f"{device.rx_frames:,}",
            f"{device.tx_frames:,}",
            f"{device.dropped:,}",
        )
    return table


def _failure(error: Exception) -> typer.Exit:
    Console(stderr=True).print(f"xdpcopy lab: {error}", markup=False, highlight=False)
    return typer.Exit(1)
