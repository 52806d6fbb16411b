"""The command ``xdpcopy``.

Exit status: 0 done; 1 the machine does not allow it, or it failed while running; 2 the command line or the
configuration cannot be used. Commands for the api have more: appliance/remote/asked.py.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import entry_points
from importlib.metadata import version as distribution_version
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from appliance import lab
from appliance.commands import engine as engine_command
from appliance.commands import letters
from appliance.commands import replay as replay_command
from appliance.commands.doctor import doctor
from appliance.commands.process_files import become_daemon, log_to, not_a_daemon, process_files
from appliance.commands.run import run as replay
from appliance.commands.supervise import supervise
from appliance.engine.stats import StatsFile
from appliance.errors import ApplianceError, ConfigError
from appliance.remote import commands as remote_commands
from appliance.settings.config import DEFAULT_STATS, Config
from appliance.settings.loading import build, load
from dataplane.binding import COUNTERS

if TYPE_CHECKING:
    from appliance.settings.api import Api

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    help="Replays mirrored TCP sessions against a test server.",
    context_settings=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
config_app = typer.Typer(help="Configuration files.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(lab.app, name="lab")
app.command()(replay_command.replay)
app.command()(engine_command.engine)
app.command()(doctor)
remote_commands.add(app)
for added in entry_points(group="xdpcopy.commands"):
    added.load()(app)


@app.callback(invoke_without_command=True)
def _common(
    *,
    show_version: Annotated[bool, typer.Option("--version", "-v", help="Show the version.")] = False,
) -> None:
    if show_version:
        version()
        raise typer.Exit


@app.command()
@letters.with_letters
def run(  # noqa: PLR0913 - one parameter for each option
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Configuration file, instead of the letters.")
    ] = None,
    mirrors: Annotated[
        list[str] | None,
        typer.Option("-i", metavar="DEVICE", help="Mirror device; repeat it, or use commas, for several."),
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the ledger to FILE, as JSON, at the end.")
    ] = None,
    stats: Annotated[
        Path | None, typer.Option(metavar="FILE", help=f"File of the counters ({DEFAULT_STATS}).")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Show a status line while it runs.")] = False,
    asked: letters.Letters,
) -> None:
    """Replay until SIGTERM or Ctrl-C. Prints ready once frames can flow."""
    if config is not None and (mirrors or asked.has_settings):
        raise ConfigError(
            "give either --config, or -i, -o, -x and other letters; -d, -l and -P work with both"
        )
    chosen = load(config) if config is not None else build(letters.settings(mirrors or [], asked))
    if config is not None and chosen.api is not None:
        files = {"--ledger": ledger, "--stats": stats}
        raise typer.Exit(supervised(config, asked, files, chosen.api, live=live))
    if asked.daemon and live:
        raise ConfigError("--live needs a terminal; leave out -d or --live")
    ready = become_daemon(asked.log_file) if asked.daemon else not_a_daemon
    with process_files(asked.log_file, asked.pid_file):
        replay(_with_files(chosen, ledger, stats), live=live, ready=ready)


@config_app.command("check")
def config_check(file: Annotated[Path, typer.Argument(help="Configuration file.")]) -> None:
    """Check a configuration file."""
    config = load(file)
    print(
        f"{file}: mirror {', '.join(port.device for port in config.mirror)}; test {config.test.device};"
        f" transfers {', '.join(transfer.label for transfer in config.transfers)}"
    )


@app.command()
def counters(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    stats: Annotated[Path, typer.Option(metavar="FILE", help="File of the counters.")] = DEFAULT_STATS,
) -> None:
    """Show the counters of a running engine."""
    reading = StatsFile(stats).read()
    if reading.stale:
        say(f"no heartbeat from the engine for {reading.age_s:,.0f} s; these are its last counters")
    if as_json:
        print(json.dumps(reading.counters))
        return
    table = Table("counter", "value", "unit", "meaning", box=None)
    table.columns[1].justify = "right"
    for counter in COUNTERS:
        table.add_row(counter.name, f"{reading.counters[counter.name]:,}", counter.unit, counter.help)
    Console().print(table)


@app.command()
def version() -> None:
    """Show the version."""
    print(f"xdpcopy {distribution_version('xdpcopy')}")


def say(text: str) -> None:
    """Prints a message of this command on standard error."""
    for line in text.splitlines():
        print(f"xdpcopy: {line}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """The entry point; exits with the status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    log_to()
    try:
        arguments = _prepared(arguments)
        app(arguments, prog_name="xdpcopy")
    except ApplianceError as error:
        say(str(error))
        sys.exit(error.exit_status)
    except OSError as error:
        cure = "; run it as root" if isinstance(error, PermissionError) else ""
        where = f"{error.filename}: " if error.filename else ""
        say(f"{where}{error.strerror or error}{cure}")
        sys.exit(1)


def supervised(
    config: Path, asked: letters.Letters, files: dict[str, Path | None], api: Api, *, live: bool
) -> int:
    """Runs engine and api as two processes; the engine's exit status."""
    if asked.daemon or live:
        raise ConfigError(
            "with an api section, run stays in the foreground and has no --live; leave out -d and --live"
        )
    given = [part for name, path in files.items() if path is not None for part in (name, str(path))]
    with process_files(asked.log_file, asked.pid_file):
        return supervise(config, given, api)


def _with_files(config: Config, ledger: Path | None, stats: Path | None) -> Config:
    """Paths on the command line are relative to the current folder."""
    given = {"ledger": ledger, "stats": stats}
    changed = {name: path.absolute() for name, path in given.items() if path is not None}
    return Config.model_validate({**dict(config), **changed})


def _prepared(arguments: list[str]) -> list[str]:
    """Handles tcpcopy's letters, which only run, replay and doctor have."""
    taken = {"run": (), "doctor": (), "replay": replay_command.OWN_LETTERS}
    command = arguments[0] if arguments else ""
    if command not in taken:
        return arguments
    counting, notices = letters.prepare(arguments[1:], taken[command])
    for notice in notices:
        say(notice)
    return [command, *counting]


if __name__ == "__main__":
    main()
