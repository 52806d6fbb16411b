"""The command ``xdpcopy replay``: its options, and what they mean for ``appliance.replay``."""

from pathlib import Path
from typing import Annotated

import typer

from appliance import letters
from appliance import replay as offline
from appliance.config import DEFAULT_STATS, Config
from appliance.errors import ConfigError
from appliance.loading import build, load
from dataplane.binding import Capture

NANOSECONDS_PER_MS = 1_000_000
OWN_LETTERS = ("-a", "-I", "-T")


Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Capture files, pcap or pcapng; merged by time.")
]
Settings = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file; its mirrors do not count."),
]
Device = Annotated[str | None, typer.Option("-o", metavar="DEVICE", help="Test device, towards the targets.")]
Transfers = Annotated[
    list[str] | None,
    typer.Option("-x", metavar="TRANSFERS", help="What is replayed where: [ip:]port-ip:port,…"),
]
Timeout = Annotated[
    float | None,
    typer.Option("-t", metavar="SECONDS", help="Seconds that a request waits for its answer (120)."),
]
Speed = Annotated[
    float, typer.Option("-a", metavar="TIMES", min=0.001, max=1e6, help="So many times as fast.")
]
Idle = Annotated[
    float | None,
    typer.Option("-I", metavar="MS", min=0.001, help="Longer silences of the capture last so long."),
]
Repeats = Annotated[
    int, typer.Option("-T", metavar="TIMES", min=1, max=1_000_000, help="Replay everything so often.")
]
Fast = Annotated[
    bool, typer.Option("--fast", help="No pace: the next frame as soon as those before are dealt with.")
]
Ledger = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the account there, as JSON, at the end.")
]
Stats = Annotated[Path | None, typer.Option(metavar="FILE", help=f"File of the counters ({DEFAULT_STATS}).")]


def replay(  # noqa: PLR0913 - one parameter for each option
    files: Files,
    *,
    config: Settings = None,
    test: Device = None,
    transfers: Transfers = None,
    timeout: Timeout = None,
    speed: Speed = 1.0,
    idle: Idle = None,
    repeats: Repeats = 1,
    fast: Fast = False,
    ledger: Ledger = None,
    stats: Stats = None,
) -> None:
    """Replay capture files, and end. SIGUSR1 pauses, SIGUSR2 goes on. Exit status 0: the ledger closes."""
    if fast and (speed != 1.0 or idle is not None):
        raise ConfigError("--fast has no pace; leave out -a and -I, or --fast")
    given = {"ledger": ledger, "stats": stats}
    changed = {name: path.absolute() for name, path in given.items() if path is not None}
    chosen = _chosen(config, test, transfers or [], timeout)
    capture = Capture(
        files=offline.check_files(files),
        speed=speed,
        idle_cap=round((idle or 0) * NANOSECONDS_PER_MS),
        repeats=repeats,
        fast=fast,
    )
    settings = offline.without_mirrors(Config.model_validate({**dict(chosen), **changed}))
    if not offline.run(settings, capture).closes:
        raise typer.Exit(1)


def _chosen(config: Path | None, test: str | None, transfers: list[str], timeout: float | None) -> Config:
    if config is None:
        return build(letters.settings(["capture"], test, transfers, timeout))
    if any((test, transfers, timeout)):
        raise ConfigError("give either --config, or -o, -x and -t")
    return load(config)
