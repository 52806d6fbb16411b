"""tcpcopy's options, by letter, and what each means here. docs/options.md lists them.

``xdpcopy run``, ``replay`` and ``doctor`` share ``Letters``. Options without a meaning on a single machine
(-s -p -C -U -L) are accepted with a notice; options that would change what is replayed are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.metadata import version as distribution_version
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from appliance.errors import ConfigError, TransferError
from appliance.options import with_options
from appliance.settings.endpoint import parse_transfers
from appliance.settings.pool import parse_clients
from appliance.settings.transfer import MAX_MULTIPLIER

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from appliance.settings.endpoint import Source, Target

OFFLINE = "belongs to xdpcopy replay, which reads capture files; leave it out"
NO_INTERCEPT = "the appliance receives the target's answers itself, so there is no intercept"

REFUSED = {
    "-a": ("acceleration of a capture file", OFFLINE),
    "-I": ("longest silence in a capture file", OFFLINE),
    "-T": ("repetitions of a capture file", OFFLINE),
}
# Meaning, whether a value follows, and why it has no effect.
WITHOUT_EFFECT = {
    "-s": ("addresses of intercept", True, NO_INTERCEPT),
    "-p": ("port of intercept", True, NO_INTERCEPT),
    "-C": ("connections to each intercept", True, NO_INTERCEPT),
    "-L": ("run without intercept", False, NO_INTERCEPT),
    "-U": ("size of the session pool", True, "sessions are all of one size; limits bound their number"),
}
TAKE_A_VALUE = frozenset(
    [f"-{letter}" for letter in "xiotkRcHnfrMDmFlPaIT"] + ["--config", "--ledger", "--stats"]
)
DEFAULT_RAMP = "100"  # seconds: one per cent a second, as in tcpcopy
DEFAULT_INSTANCES = 32  # as many as tcpcopy's port shift distinguishes
LEAST_MEMORY = 64
MIB = 1 << 20
SESSION_BYTES = 1 << 10  # at most, of a connection with its session and table entries
TABLES_PART = 4  # a quarter of the memory is for them, the rest for request bytes
WITH_A_FILE = ("daemon", "log_file", "pid_file", "show_version")


def _show_version(asked: bool) -> None:  # noqa: FBT001 - called by click
    if asked:
        print(f"xdpcopy {distribution_version('xdpcopy')}")
        raise typer.Exit


def _option(letter: str, metavar: str, text: str) -> Any:  # noqa: ANN401 - typer's type
    return typer.Option(letter, metavar=metavar, help=text)


@dataclass(frozen=True)
class Letters:
    """tcpcopy's options as given; one option for each field."""

    test: Annotated[str | None, _option("-o", "DEVICE", "Test device, facing the targets.")] = None
    transfers: Annotated[
        list[str] | None, _option("-x", "TRANSFERS", "What is replayed where: [ip:]port-ip:port,…")
    ] = None
    clients: Annotated[
        list[str] | None,
        _option("-c", "CLIENTS", "Addresses of forged clients: 198.18.0.x, 198.18.0.0/24, fd00::1-fd00::9,…"),
    ] = None
    loopback: Annotated[
        str | None, _option("-H", "ADDRESS", "Address to use in place of loopback clients.")
    ] = None
    multiplier: Annotated[
        int | None, _option("-n", "COUNT", f"Sessions per connection, up to {MAX_MULTIPLIER}.")
    ] = None
    instance: Annotated[
        str | None,
        _option("-f", "I[/N]", f"Instance I, from 0, of N ({DEFAULT_INSTANCES}); their ports are disjoint."),
    ] = None
    percent: Annotated[float | None, _option("-r", "PERCENT", "Percentage of connections, from 0.01.")] = None
    ramp: Annotated[
        float | None, _option("-g", "[SECONDS]", f"Duration of a gradual start ({DEFAULT_RAMP}).")
    ] = None
    full_sessions: Annotated[bool, typer.Option("-O", help="Ignore connections that are already open.")] = (
        False
    )
    no_wait: Annotated[bool, typer.Option("-W", help="Send requests without waiting for answers.")] = False
    timeout: Annotated[
        float | None, _option("-t", "SECONDS", "How long a request waits for its answer (120).")
    ] = None
    idle_timeout: Annotated[
        float | None, _option("-k", "SECONDS", "Forget a connection after this silence (3600).")
    ] = None
    rtt: Annotated[
        float | None, _option("-R", "MS", "Silence that completes an answer shorter than production's (5).")
    ] = None
    mtu: Annotated[int | None, _option("-M", "BYTES", "Largest packet to the targets.")] = None
    mss: Annotated[int | None, _option("-D", "BYTES", "Largest MSS that a SYN announces.")] = None
    memory: Annotated[
        int | None,
        _option("-m", "MB", "Memory: a quarter for connections (1 KiB each), the rest for request bytes."),
    ] = None
    filter: Annotated[
        str | None, _option("-F", "FILTER", "Filter for mirrored frames, see pcap-filter(7).")
    ] = None
    daemon: Annotated[bool, typer.Option("-d", help="Go to the background once ready; needs -l.")] = False
    log_file: Annotated[
        Path | None, _option("-l", "FILE", "Append the log to FILE instead of standard error.")
    ] = None
    pid_file: Annotated[Path | None, _option("-P", "FILE", "Write the process id to FILE while it runs.")] = (
        None
    )
    show_version: Annotated[
        bool, typer.Option("-v", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False

    @property
    def has_settings(self) -> bool:
        """Whether anything was given that a configuration file could set."""
        return any(
            getattr(self, one.name) != one.default for one in fields(self) if one.name not in WITH_A_FILE
        )


def with_letters(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces the command's parameter ``asked`` by one option for each field of Letters."""
    return with_options(Letters, command)


def prepare(arguments: Sequence[str], taken: Container[str] = ()) -> tuple[list[str], list[str]]:
    """The arguments that have an effect, and a notice for each that has none.

    -g without a number gets the default. Raises ConfigError for a refused letter, unless it is in ``taken``.
    """
    counting: list[str] = []
    notices: list[str] = []
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        letter = argument[:2]
        if argument == "--":
            return [*counting, argument, *rest], notices
        if letter in REFUSED and letter not in taken:
            meaning, why = REFUSED[letter]
            raise ConfigError(f"{letter} ({meaning}) {why}")
        if letter in WITHOUT_EFFECT:
            meaning, has_value, why = WITHOUT_EFFECT[letter]
            notices.append(f"{letter} ({meaning}) has no effect: {why}")
            del rest[: has_value and argument == letter]
            continue
        counting.append(argument)
        if argument == "-g":
            counting.append(rest.pop(0) if rest and _is_number(rest[0]) else DEFAULT_RAMP)
        elif argument in TAKE_A_VALUE and rest:
            counting.append(rest.pop(0))
    return counting, notices


def settings(mirrors: Sequence[str], asked: Letters) -> dict[str, Any]:
    """The settings, as in a configuration file."""
    missing = [
        text
        for value, text in (
            (mirrors, "-i: name the mirror device, like -i mirror0"),
            (asked.test, "-o: name the test device, like -o test0"),
            (asked.transfers, "-x: say what to replay where, like -x 80-198.19.0.2:8080"),
        )
        if not value
    ]
    if missing:
        raise ConfigError(*missing, "or give a file: --config FILE")
    devices = [device.strip() for each in mirrors for device in each.split(",")]
    try:
        parsed = [transfer for each in asked.transfers or () for transfer in parse_transfers(each)]
    except TransferError as error:
        raise ConfigError(*error.problems, source="-x") from error
    return {
        "mirror": [{"device": device} for device in devices],
        "test": _given(device=asked.test, mtu=asked.mtu),
        "transfers": [_transfer(source, target, asked) for source, target in parsed],
        "timing": _given(
            response_timeout_s=asked.timeout, idle_timeout_s=asked.idle_timeout, settle_ms=asked.rtt
        ),
        "limits": _memory(asked.memory),
        **_given(filter=asked.filter),
    }


def _given(**values: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting
    return {name: value for name, value in values.items() if value is not None}


def _transfer(source: Source, target: Target, asked: Letters) -> dict[str, Any]:
    instance, instances = _instance(asked.instance)
    return {
        "source": str(source),
        "target": str(target),
        "full_sessions_only": asked.full_sessions,
        "no_wait": asked.no_wait,
        "clients": _clients(target, asked.clients or []),
        **_given(
            loopback_clients=asked.loopback,
            multiplier=asked.multiplier,
            sample_percent=asked.percent,
            ramp_s=asked.ramp,
            mss=asked.mss,
            instance=instance,
            instances=instances,
        ),
    }


def _clients(target: Target, texts: Sequence[str]) -> list[str]:
    """The clients of the target's IP version: -c applies to every -x."""
    try:
        ranges = [one for text in texts for one in parse_clients(text)]
    except ValueError as error:
        raise ConfigError(str(error), source="-c") from error
    version = target.address.version
    found = [str(one) for one in ranges if one.version == version]
    if ranges and not found:
        raise ConfigError(f"no IPv{version} clients for the target {target}; add some", source="-c")
    return found


def _instance(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    number, slash, count = text.partition("/")
    if not number.isdecimal() or (slash and not count.isdecimal()):
        raise ConfigError(
            f"'{text}' is not an instance; write 3, or 3/8 for number 3, from 0, of eight", source="-f"
        )
    return int(number), int(count) if slash else DEFAULT_INSTANCES


def _memory(megabytes: int | None) -> dict[str, int]:
    if megabytes is None:
        return {}
    if megabytes < LEAST_MEMORY:
        raise ConfigError(f"{megabytes} MB is too little; give {LEAST_MEMORY} or more", source="-m")
    tables = megabytes * MIB // TABLES_PART
    count = tables // SESSION_BYTES
    return {"connections": count, "sessions": count, "buffer_bytes": megabytes * MIB - tables}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
