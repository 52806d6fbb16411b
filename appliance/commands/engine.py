"""The command ``xdpcopy engine``."""

from pathlib import Path
from typing import Annotated

import typer

from appliance.service.serve import serve
from appliance.settings.config import Config
from appliance.settings.loading import load


def engine(
    *,
    config: Annotated[Path, typer.Option(metavar="FILE", help="Configuration file.")],
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the ledger to FILE, as JSON, at the end.")
    ] = None,
    stats: Annotated[Path | None, typer.Option(metavar="FILE", help="File of the counters.")] = None,
) -> None:
    """Run the engine with its control socket, until SIGTERM. Prints ready once it takes requests."""
    given = {"ledger": ledger, "stats": stats}
    changed = {name: path.absolute() for name, path in given.items() if path is not None}
    serve(Config.model_validate({**dict(load(config)), **changed}))
