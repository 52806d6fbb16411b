"""The command ``xdpcopy replay``: its options, and what they mean for ``playback``."""

from pathlib import Path
from typing import Annotated

import typer

from appliance.commands import letters, playback
from appliance.commands.process_files import become_daemon, not_a_daemon, process_files
from appliance.errors import ConfigError
from appliance.settings.config import DEFAULT_STATS, Config
from appliance.settings.loading import build, load
from dataplane.binding import Capture

NANOSECONDS_PER_MS = 1_000_000
OWN_LETTERS = ("-a", "-I", "-T")


Files = Annotated[
    list[Path], typer.Argument(metavar="FILE…", help="Capture files, pcap or pcapng; merged by time.")
]
Settings = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file; its mirror ports are ignored."),
]
Speed = Annotated[
    float, typer.Option("-a", metavar="TIMES", min=0.001, max=1e6, help="How many times as fast as recorded.")
]
Idle = Annotated[
    float | None,
    typer.Option("-I", metavar="MS", min=0.001, help="Longest silence; longer ones are cut to it."),
]
Repeats = Annotated[
    int,
    typer.Option("-T", metavar="TIMES", min=1, max=1_000_000, help="How many times to replay everything."),
]
Fast = Annotated[
    bool,
    typer.Option("--fast", help="As fast as possible: each frame as soon as the previous ones are handled."),
]
Ledger = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the ledger to FILE, as JSON, at the end.")
]
Progress = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write progress to FILE, as JSON, a few times a second."),
]
Stats = Annotated[Path | None, typer.Option(metavar="FILE", help=f"File of the counters ({DEFAULT_STATS}).")]


@letters.with_letters
def replay(  # noqa: PLR0913 - one parameter for each option
    files: Files,
    *,
    config: Settings = None,
    speed: Speed = 1.0,
    idle: Idle = None,
    repeats: Repeats = 1,
    fast: Fast = False,
    ledger: Ledger = None,
    stats: Stats = None,
    progress: Progress = None,
    asked: letters.Letters,
) -> None:
    """Replay capture files, then exit. SIGUSR1 pauses, SIGUSR2 resumes. Exit status 0: the ledger closes."""
    if fast and (speed != 1.0 or idle is not None):
        raise ConfigError("--fast ignores the recorded pace; leave out -a and -I, or --fast")
    given = {"ledger": ledger, "stats": stats}
    changed = {name: path.absolute() for name, path in given.items() if path is not None}
    chosen = _chosen(config, asked)
    capture = Capture(
        files=playback.check_files(files),
        speed=speed,
        idle_cap=round((idle or 0) * NANOSECONDS_PER_MS),
        repeats=repeats,
        fast=fast,
    )
    settings = Config.model_validate({**dict(chosen), **changed})
    ready = become_daemon(asked.log_file) if asked.daemon else not_a_daemon
    with process_files(asked.log_file, asked.pid_file):
        outcome = playback.run(settings, capture, ready=ready, progress=progress)
    if not outcome.closes:
        raise typer.Exit(1)


def _chosen(config: Path | None, asked: letters.Letters) -> Config:
    if config is None:
        return build(letters.settings(["capture"], asked))
    if asked.has_settings:
        raise ConfigError("give either --config, or -o, -x and other letters; -d, -l and -P work with both")
    return load(config)
