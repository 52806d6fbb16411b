"""``xdpcopy doctor``."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance.commands import letters
from appliance.contract.doctor import Finding, Verdict
from appliance.doctor.examination import examine
from appliance.doctor.finding import fault
from appliance.errors import ConfigError
from appliance.settings.loading import build, load

if TYPE_CHECKING:
    from collections.abc import Iterator

STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "red bold", Verdict.SKIPPED: "dim"}


@letters.with_letters
def doctor(
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration file, instead of the letters.")
    ] = None,
    mirrors: Annotated[
        list[str] | None, typer.Option("-i", metavar="DEVICE", help="Mirror device; repeat it for several.")
    ] = None,
    listen: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="How long to listen on the mirror.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
    asked: letters.Letters,
) -> None:
    """Check for anything that would prevent a replay. Exit status 1: a fault was found."""
    found = list(_findings(config, mirrors or [], asked, listen))
    if as_json:
        print(json.dumps([finding.model_dump(mode="json") for finding in found], indent=2))
    else:
        Console().print(_table(found))
    if any(finding.verdict is Verdict.FAULT for finding in found):
        raise typer.Exit(1)


def _findings(
    file: Path | None, mirrors: list[str], asked: letters.Letters, seconds: float
) -> Iterator[Finding]:
    try:
        config = load(file) if file is not None else build(letters.settings(mirrors, asked))
    except ConfigError as error:
        for problem in error.problems:
            yield fault(
                "configuration",
                problem,
                "it cannot be used",
                f"correct it in {error.source or 'the options'}",
            )
        return
    yield from examine(config, seconds)


def _table(found: list[Finding]) -> Table:
    table = Table("check", "verdict", "result", "cause", "cure", box=None)
    for each in found:
        style = STYLES[each.verdict]
        table.add_row(each.id, f"[{style}]{each.verdict}[/]", each.result, each.cause, each.cure)
    return table
