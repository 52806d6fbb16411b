"""What every kind of port does for the engine. The kinds: ``afxdp`` and ``capture``.

What only one kind has, such as XDP programs or the kernel's neighbours, stays behind ``Port``.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Protocol

from dataplane.binding import Transport

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import ExitStack

    from appliance.engine.hops import Resolver
    from appliance.engine.ledger import PortAccount
    from dataplane import binding
    from dataplane.binding import Dataplane, PortMode, PortRole

Endpoint = tuple[IPv4Address | IPv6Address | None, int, Transport]


@dataclass(frozen=True)
class PortReport:
    """What a port obtained. ``line`` says it in the report at the start."""

    role: PortRole
    line: str
    queues: tuple[PortMode, ...]
    device: str = ""
    driver: str = ""
    mtu: int = 0
    xdp: str = ""  # how its program is attached, and why not natively if that was tried
    refusal: str = ""


class Port(Protocol):
    """One port: ``open``, then ``opened``, then the rest, until the stack of ``open`` is unwound."""

    def open(self, undo: ExitStack) -> binding.Port:
        """Prepares it, wanting nothing yet; ``undo`` restores all. What the dataplane is to open."""

    def opened(self, dataplane: Dataplane, index: int) -> None:
        """The dataplane has opened it, as its port of this index."""

    def want(self, endpoints: Collection[Endpoint]) -> None:
        """From now on frames of these endpoints reach the dataplane, and no others."""

    def report(self) -> PortReport:
        """What was obtained."""

    def account(self) -> PortAccount:
        """What it has counted."""


class TargetsPort(Port, Protocol):
    """The test port."""

    def resolver(self) -> Resolver:
        """Who finds next hops on it. Asked before ``open``: if one is missing, nothing has been changed."""
