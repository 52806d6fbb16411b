"""The XDP program of one device: which frames go to our sockets, and what becomes of the others.

What the programs do is written in ``bpf/steer.bpf.c``; here they are loaded, told the endpoints and attached.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from dataplane import binding
from dataplane.binding import PortRole, Transport
from dataplane.pyxdp import AttachMode, Map, Program

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Address, IPv6Address
    from types import TracebackType

    Endpoint = (
        tuple[IPv4Address | IPv6Address | None, int] | tuple[IPv4Address | IPv6Address | None, int, Transport]
    )

_PROGRAMS = {PortRole.MIRROR: "steer_mirror", PortRole.TEST: "steer_test"}
_PRESENT = 1
_ONLY = 0  # the one key of settings and counts


class Maps(NamedTuple):
    """Descriptors of maps that the dataplane needs, valid until ``Steering.close``."""

    sockets: int  # the XSKMAP that sockets enter under the number of their queue
    shed: int = 0  # where workers say what a mirror port may drop in overload; 0: a test port has none


class Steering:
    """Attached from construction to ``close``; a context manager. When the process dies the kernel detaches.

    An endpoint is an address, a port and, if it is not TCP, the transport. ``endpoints`` are the mirrored
    servers (role MIRROR; the address None stands for any) or the targets (role TEST, always with an
    address). ``unwanted`` says what a mirror port does with other frames: drop them, or pass them to the
    kernel. ``fragments``: frames may come in several buffers (``Capabilities.split``). Raises XdpError, or
    ValueError for endpoints that make no sense.

    ``maps`` is for the dataplane. ``mode`` is the mode obtained; ``refusal`` says why not native if that
    was tried.
    """

    def __init__(  # noqa: PLR0913 - one port has them
        self,
        role: PortRole,
        device: str,
        endpoints: Iterable[Endpoint],
        mode: AttachMode = AttachMode.AUTO,
        unwanted: Literal["drop", "pass"] = "drop",
        *,
        fragments: bool = False,
    ) -> None:
        """Loads, fills and attaches."""
        self.role = role
        self.device = device
        self._pass_unwanted = unwanted == "pass"
        self._last: dict[str, int] | None = None
        with ExitStack() as undo:
            self._program = Program.load(binding.steer_object(), _PROGRAMS[role], fragments=fragments)
            undo.callback(self._program.close)
            self.replace_endpoints(endpoints)
            link = self._program.attach(device, mode)
            undo.callback(link.detach)
            self._undo = undo.pop_all()
        maps = self._program.maps
        self.maps = Maps(maps["sockets"].fd, maps["shed_map"].fd if role is PortRole.MIRROR else 0)
        self.mode = link.mode
        self.refusal = link.refusal

    def __enter__(self) -> Self:
        """Nothing more to do: it is attached."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detaches."""
        self.close()

    def close(self) -> None:
        """Detaches and unloads; harmless when called again. ``counts`` then gives the last ones."""
        if self._last is None:
            self._last = self.counts()
            self._undo.close()

    def replace_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """From now on these are the endpoints. While it runs the old and the new ones are, never fewer."""
        wanted = {(ip, port, *(rest or (Transport.TCP,))) for ip, port, *rest in endpoints}
        self._check(wanted)
        maps = self._program.maps
        ports = {_key(*endpoint) for endpoint in wanted}
        addresses = {binding.address_bytes(ip) for ip, _, _ in wanted if ip is not None}
        _add(maps["endpoints"], ports)
        _add(maps["addresses"], addresses)
        self._set(
            any_address=any(ip is None for ip, _, _ in wanted),
            any_udp=any(transport is Transport.UDP for _, _, transport in wanted),
        )
        _keep(maps["endpoints"], ports)
        _keep(maps["addresses"], addresses)

    def counts(self) -> dict[str, int]:
        """Frames since the program was attached, by what became of them; each is counted once."""
        return self._program.maps["counts"].read(_ONLY) if self._last is None else dict(self._last)

    def _check(self, endpoints: set[tuple[IPv4Address | IPv6Address | None, int, Transport]]) -> None:
        if self.role is PortRole.TEST and any(ip is None for ip, _, _ in endpoints):
            raise ValueError("a target needs an address: without one all TCP on the test port would be ours")
        # Old and new ones are there together for a moment.
        most = self._program.maps["endpoints"].entries // 2
        if len(endpoints) > most:
            raise ValueError(f"{len(endpoints)} endpoints on {self.device}: at most {most} are possible")

    def _set(self, *, any_address: bool, any_udp: bool) -> None:
        settings = self._program.maps["settings"]
        values = {"pass_unwanted": self._pass_unwanted, "any_address": any_address, "any_udp": any_udp}
        data = bytearray(settings.value_size)
        for name, value in values.items():
            settings.members[name].write(data, int(value))
        settings.update(_ONLY, bytes(data))


def _key(ip: IPv4Address | IPv6Address | None, port: int, transport: Transport) -> bytes:
    """``struct endpoint`` of the BPF program."""
    return binding.address_bytes(ip) + port.to_bytes(2, "big") + bytes([transport, 0])


def _add(entries: Map, keys: set[bytes]) -> None:
    for key in keys:
        entries.update(key, _PRESENT)


def _keep(entries: Map, keys: set[bytes]) -> None:
    for key in set(entries.keys()) - keys:
        entries.delete(key)
