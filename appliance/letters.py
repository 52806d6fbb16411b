"""tcpcopy's options, by their letters: those that are here, and what is said about those that are not.

``xdpcopy run`` takes -x, -i, -o and -t, ``xdpcopy replay`` -x, -o, -t, -a, -I and -T; every other letter of
tcpcopy is refused by name, because an option that is ignored makes a replay that nobody asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.errors import ConfigError, TransferError
from appliance.transfer import parse_transfers

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

NOT_YET = "is not there yet; leave it out"
OFFLINE = "belongs to xdpcopy replay, which reads capture files; leave it out"
NOT_NEEDED = "has no meaning here; leave it out"
ONE_BOX = (
    f"{NOT_NEEDED}: the appliance itself takes the target's answers, there is no intercept to connect to"
)

REFUSED = {
    "-c": ("addresses of forged clients", f"{NOT_YET}: sessions use the mirrored clients' own addresses"),
    "-H": ("address in place of 127.0.0.1", NOT_YET),
    "-n": ("sessions for each connection", f"{NOT_YET}: each connection is replayed once"),
    "-f": ("port shift of this instance", NOT_YET),
    "-r": ("percentage of connections", f"{NOT_YET}: all connections are replayed"),
    "-g": ("gradual start", NOT_YET),
    "-O": ("full sessions only", NOT_YET),
    "-W": ("do not wait for answers", NOT_YET),
    "-k": ("least number of answers", NOT_YET),
    "-R": ("default round-trip time", NOT_YET),
    "-M": ("MTU towards the target", f"{NOT_NEEDED}: the test device's own MTU counts"),
    "-D": (
        "MSS towards the target",
        f"{NOT_NEEDED}: it follows from the mirrored client and the test device",
    ),
    "-m": ("memory limit", f"{NOT_NEEDED}: limits in the configuration bound the memory from the start"),
    "-l": ("log file", f"{NOT_NEEDED}: the log goes to standard error"),
    "-P": ("file for the process id", f"{NOT_NEEDED}: the process stays in the foreground"),
    "-d": (
        "run as a daemon",
        f"{NOT_NEEDED}: the process stays in the foreground; systemd or & puts it behind",
    ),
    "-F": ("pcap filter", NOT_YET),
    "-a": ("acceleration of a capture file", OFFLINE),
    "-I": ("longest pause in a capture file", OFFLINE),
    "-T": ("repetitions of a capture file", OFFLINE),
    "-U": (
        "size of the session pool",
        f"{NOT_NEEDED}: limits in the configuration say how many there may be",
    ),
    "-C": ("connections to each intercept", ONE_BOX),
    "-s": ("addresses of intercept", ONE_BOX),
    "-p": ("port of intercept", ONE_BOX),
    "-L": ("stay without intercept", ONE_BOX),
}

TAKE_A_VALUE = ("-x", "-i", "-o", "-t", "-a", "-I", "-T", "--config", "--ledger", "--stats")


def refuse(arguments: Sequence[str], taken: Container[str] = ()) -> None:
    """Raises ConfigError for the first option of tcpcopy that the command does not have; ``taken`` it has."""
    is_value = False
    for argument in arguments:
        if argument == "--":
            return
        letter = argument[:2]
        if not is_value and letter in REFUSED and letter not in taken:
            meaning, why = REFUSED[letter]
            raise ConfigError(f"{letter} ({meaning}) {why}")
        is_value = not is_value and argument in TAKE_A_VALUE


def settings(
    mirrors: Sequence[str], test: str | None, transfers: Sequence[str], timeout: float | None
) -> dict[str, Any]:
    """The settings, as a configuration file would hold them, that -i, -o, -x and -t mean."""
    missing = [
        text
        for value, text in (
            (mirrors, "-i: name the mirror device, like -i mirror0"),
            (test, "-o: name the test device, like -o test0"),
            (transfers, "-x: say what is replayed where, like -x 80-198.19.0.2:8080"),
        )
        if not value
    ]
    if missing:
        raise ConfigError(*missing, "or give a file: --config FILE")
    devices = [device.strip() for each in mirrors for device in each.split(",")]
    try:
        parsed = [transfer for each in transfers for transfer in parse_transfers(each)]
    except TransferError as error:
        raise ConfigError(*error.problems, source="-x") from error
    return {
        "mirror": [{"device": device} for device in devices],
        "test": {"device": test},
        "transfers": [{"source": str(one.source), "target": str(one.target)} for one in parsed],
        "timing": {} if timeout is None else {"response_timeout_s": timeout},
    }
