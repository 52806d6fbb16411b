"""The account of a run: every frame, session and byte under exactly one heading, and whether it balances.

Pure functions over counters. An equation that does not hold shows both of its sides.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dataplane.binding import COUNTERS, CounterKind, PortRole, PortStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Counters = Mapping[str, int]

PREFIXES = {
    CounterKind.DROP_MIRROR: "drop_mirror_",
    CounterKind.DROP_TEST: "drop_test_",
    CounterKind.SESSION_END: "end_",
}


@dataclass(frozen=True)
class PortAccount:
    """What one port's XDP program and sockets counted; ``xdp`` is empty where there is no program."""

    device: str
    role: PortRole
    xdp: Mapping[str, int]
    sockets: Sequence[PortStatistics]

    @property
    def lost(self) -> int:
        """Frames that the XDP program redirected but the sockets did not accept.

        rx_dropped: no free buffer, or too large a frame; rx_ring_full: no room in the ring. Such a frame is
        counted under one of the two. rx_starved counts attempts, not frames.
        """
        return sum(lost(socket) for socket in self.sockets)


def lost(socket: PortStatistics) -> int:
    """Frames that one socket did not accept."""
    return socket.rx_dropped + socket.rx_ring_full


@dataclass(frozen=True)
class Equation:
    """One line of the account. It closes when both sides are equal."""

    meaning: str
    left: int
    right: int

    @property
    def closes(self) -> bool:
        """Whether it balances."""
        return self.left == self.right


def by_kind(counters: Counters, kind: CounterKind) -> dict[str, int]:
    """The counters under one heading, by reason."""
    prefix = PREFIXES.get(kind, "")
    return {c.name.removeprefix(prefix): counters[c.name] for c in COUNTERS if c.kind is kind}


def equations(counters: Counters, ports: Iterable[PortAccount] = ()) -> dict[str, Equation]:
    """Everything that must balance whenever the workers are between two loops."""
    found = {
        "mirror": _frames(counters, "mirror", CounterKind.DROP_MIRROR),
        "test": _frames(counters, "test", CounterKind.DROP_TEST),
        "sessions": Equation(
            "sessions_opened = ends by reason + sessions_live",
            counters["sessions_opened"],
            sum(by_kind(counters, CounterKind.SESSION_END).values()) + counters["sessions_live"],
        ),
        "connections": Equation(
            "connections_opened = connections_closed + connections_live",
            counters["connections_opened"],
            counters["connections_closed"] + counters["connections_live"],
        ),
        "request_bytes": Equation(
            "request_bytes_taken = request_bytes_acked + request_bytes_abandoned + request_bytes_pending",
            counters["request_bytes_taken"],
            sum(counters[f"request_bytes_{end}"] for end in ("acked", "abandoned", "pending")),
        ),
    }
    accounts = list(ports)
    for role, name in ((PortRole.MIRROR, "mirror"), (PortRole.TEST, "test")):
        of_role = [port for port in accounts if port.role is role and port.xdp]
        if of_role:
            found[f"{name}_xdp"] = _redirected(counters, name, of_role)
    return found


def make(counters: Counters, ports: Sequence[PortAccount] = (), seconds: float = 0.0) -> dict[str, Any]:
    """The ledger, ready for JSON."""
    lines = equations(counters, ports)
    return {
        "closes": all(equation.closes for equation in lines.values()),
        "seconds": round(seconds, 3),
        "equations": {
            name: {**asdict(equation), "closes": equation.closes} for name, equation in lines.items()
        },
        "drops": {
            "mirror": by_kind(counters, CounterKind.DROP_MIRROR),
            "test": by_kind(counters, CounterKind.DROP_TEST),
        },
        "ends": by_kind(counters, CounterKind.SESSION_END),
        "counters": {c.name: counters[c.name] for c in COUNTERS if c.kind not in PREFIXES},
        "ports": [_port(port) for port in ports],
    }


def _frames(counters: Counters, role: str, drops: CounterKind) -> Equation:
    return Equation(
        f"{role}_frames + {role}_handed_in = {role}_accepted + {role}_handed_off + drops by reason",
        counters[f"{role}_frames"] + counters[f"{role}_handed_in"],
        counters[f"{role}_accepted"]
        + counters[f"{role}_handed_off"]
        + sum(by_kind(counters, drops).values()),
    )


def _redirected(counters: Counters, role: str, ports: Sequence[PortAccount]) -> Equation:
    return Equation(
        f"frames that XDP gave to sockets = {role}_frames + frames lost at sockets",
        sum(port.xdp["redirected"] for port in ports),
        counters[f"{role}_frames"] + sum(port.lost for port in ports),
    )


def _port(port: PortAccount) -> dict[str, Any]:
    return {
        "device": port.device,
        "role": port.role.name.lower(),
        "xdp": dict(port.xdp),
        "lost": port.lost,
        "sockets": [asdict(socket) for socket in port.sockets],
    }
