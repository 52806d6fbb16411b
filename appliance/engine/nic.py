"""Network devices: what is asked of them and changed on them. Next hops, silence, RSS, busy polling.

The context manager that changes something undoes it.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from appliance.errors import DeviceError, NeighbourError
from dataplane.pyxdp import XdpError
from dataplane.pyxdp.rss import Symmetry, rss, set_rss

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from appliance.settings.endpoint import Address

log = structlog.get_logger()

RESOLVE_TIMEOUT_S = 3.0
RESOLVE_STEP_S = 0.02

# linux/neighbour.h, linux/if.h, linux/if_packet.h, linux/rtnetlink.h
NTF_USE = 0x01
NUD_FIXED = 0x40 | 0x80  # noarp, permanent
NUD_KNOWN = 0x02 | 0x04 | 0x08 | 0x10 | NUD_FIXED  # reachable, stale, delay, probe
IFF_NOARP = 0x80
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_MR_PROMISC = 1
RTN_UNICAST = 1
RT_SCOPE_UNIVERSE = 0

PROC = Path("/proc/sys/net")
NET = Path("/sys/class/net")
REPEATED = b"\x6d\x5a"  # any two bytes make the hash symmetric; these spread well

# Polls without frames before interrupts are on again, and the time until then. A short time can leave a queue
# without either (kernels before 58e2330bd455).
BUSY_POLLING = {"napi_defer_hard_irqs": "2", "gro_flush_timeout": "200000"}  # polls; nanoseconds


@dataclass(frozen=True)
class Hop:
    """The next hop towards a target, and its link-layer address."""

    address: Address
    mac: str


@dataclass(frozen=True)
class Look:
    """Next hops as they are now, and why some targets have none."""

    hops: Mapping[Address, Hop]
    problems: Mapping[Address, NeighbourError]

    def is_over(self, targets: Collection[Address]) -> bool:
        """Waiting would not help: each target has either a next hop or no route."""
        return all(target in self.hops or target in self.problems for target in targets)

    def check(self) -> None:
        """Raises the first problem."""
        for problem in self.problems.values():
            raise problem


class Neighbours:
    """Next hops that are reached through one device. Any thread may ask.

    Each look opens a netlink socket: pyroute2 keeps the acknowledgement of each question for a route until
    the socket is closed, and an engine asks every second for months.
    """

    def __init__(self, device: str) -> None:
        """Raises DeviceError if there is no such device."""
        self.device = device
        self._index = _index(device)

    def resolve(
        self, targets: Collection[Address], timeout_s: float = RESOLVE_TIMEOUT_S
    ) -> Mapping[Address, Hop]:
        """The next hop of every target. Raises NeighbourError, at once where there is no route."""
        self.lookup(targets).check()
        found = self.wait(targets, timeout_s)
        found.check()
        return found.hops

    def wait(self, targets: Collection[Address], timeout_s: float = RESOLVE_TIMEOUT_S) -> Look:
        """Waits for all targets together. Those that have not answered in time are problems."""
        deadline = time.monotonic() + timeout_s
        while not (found := self.lookup(targets)).is_over(targets):
            if time.monotonic() > deadline:
                late = [target for target in targets if not found.is_over([target])]
                silence = {target: NeighbourError(self._unresolved(target, timeout_s)) for target in late}
                return Look(found.hops, {**found.problems, **silence})
            time.sleep(RESOLVE_STEP_S)
        return found

    def lookup(self, targets: Iterable[Address]) -> Look:
        """What resolves now. The kernel is made to ask for what does not, or is old."""
        hops: dict[Address, Hop] = {}
        problems: dict[Address, NeighbourError] = {}
        with IPRoute() as netlink:
            for target in targets:
                try:
                    hop = self._next_hop(netlink, target)
                except NeighbourError as error:
                    problems[target] = error
                    continue
                mac = self._mac(netlink, hop)
                if mac:
                    hops[target] = Hop(hop, mac)
        return Look(hops, problems)

    def _next_hop(self, netlink: IPRoute, target: Address) -> Address:
        try:
            (route,) = netlink.route("get", dst=str(target), oif=self._index)
        except NetlinkError as error:
            raise NeighbourError(
                f"target {target}: no route through {self.device} ({error.args[1]});"
                f" add one: ip route add {target} dev {self.device}, or via its gateway"
            ) from error
        if route["type"] != RTN_UNICAST or route.get_attr("RTA_OIF") != self._index:
            raise NeighbourError(
                f"target {target}: an address of this machine or of no single host, not reached through"
                f" {self.device}; give the address of the server under test"
            )
        gateway = route.get_attr("RTA_GATEWAY") or (route.get_attr("RTA_VIA") or {}).get("addr")
        return ip_address(gateway) if gateway else target

    def _mac(self, netlink: IPRoute, hop: Address) -> str | None:
        family = socket.AF_INET if hop.version == 4 else socket.AF_INET6  # noqa: PLR2004
        entries = netlink.neigh("dump", ifindex=self._index, family=family)
        entry = next((entry for entry in entries if entry.get_attr("NDA_DST") == str(hop)), None)
        state = entry["state"] if entry else 0
        if not state & NUD_FIXED:
            netlink.neigh("append", dst=str(hop), ifindex=self._index, family=family, flags=NTF_USE)
        return entry.get_attr("NDA_LLADDR") if entry and state & NUD_KNOWN else None

    def _unresolved(self, target: Address, timeout_s: float) -> str:
        try:
            with IPRoute() as netlink:
                hop = self._next_hop(netlink, target)
        except NeighbourError as error:  # the route has gone meanwhile
            return str(error)
        way = "" if hop == target else f", by way of {hop},"
        return (
            f"target {target}{way} does not answer on {self.device}: {hop} has no link-layer address"
            f" after {timeout_s:.0f} s. Check that it runs, that {self.device} is cabled to it,"
            f" that {self.device} has an address in its network (ip address show {self.device}) and that"
            f" ip route get {target} oif {self.device} shows the right gateway"
        )


@contextmanager
def silent(device: str) -> Iterator[None]:
    """Promiscuous, without IPv6 and ARP: the device receives everything and sends nothing of its own.

    Undone at the end. If the process is killed the device stays without IPv6 and ARP, which is the safe side.
    """
    with ExitStack() as undo:
        route = undo.enter_context(IPRoute())
        index = _index(device)
        undo.callback(_switch_ipv6, device, _switch_ipv6(device, "1"))
        before = route.link("get", index=index)[0]["flags"] & IFF_NOARP
        undo.callback(_switch_arp, route, index, before)
        _switch_arp(route, index, IFF_NOARP)
        undo.enter_context(_promiscuous(index))
        yield


@contextmanager
def busy_polling(device: str) -> Iterator[None]:
    """Defers the device's interrupts while its queues are polled. Undone at the end.

    Raises DeviceError before Linux 5.11.
    """
    folder = NET / device
    before = {name: _read(folder / name) for name in BUSY_POLLING}
    if None in before.values():
        raise DeviceError(f"{device}: this kernel cannot defer interrupts; leave out busy_poll")
    with ExitStack() as undo:
        for name, value in BUSY_POLLING.items():
            undo.callback(_write, folder / name, str(before[name]))
            _write(folder / name, value)
        yield


@contextmanager
def symmetric(device: str) -> Iterator[bool]:
    """Both directions of a connection arrive on one queue. Yields whether the device can do that.

    Uses the device's symmetric hash (Linux 6.8), or a key of two repeated bytes, which makes the hash
    independent of the direction. Undone at the end.
    """
    before = rss(device)
    with ExitStack() as undo:
        obtained = before is not None
        if before and before.symmetry is Symmetry.PLAIN and not _repeats(before.key):
            if set_rss(device, symmetry=Symmetry.XOR):
                undo.callback(_restore, device, symmetry=before.symmetry)
            else:
                obtained = set_rss(device, key=(REPEATED * len(before.key))[: len(before.key)])
                undo.callback(_restore, device, key=before.key)
        yield obtained


def _repeats(key: bytes) -> bool:
    return all(one == other for one, other in zip(key, key[2:], strict=False))


def _restore(device: str, **before: Any) -> None:  # noqa: ANN401 - as set_rss has them
    """A device that is gone needs no restoring."""
    with suppress(XdpError):
        set_rss(device, **before)


def _write(path: Path, value: str) -> None:
    """A device that is gone needs no setting."""
    with suppress(FileNotFoundError):
        path.write_text(value)


def forwards(device: str) -> list[str]:
    """The sysctls that let the kernel forward what arrives on a device; there should be none."""
    names = [f"{family}/conf/{device}/forwarding" for family in ("ipv4", "ipv6")]
    return [f"net/{name}" for name in names if _read(PROC / name) == "1"]


def addresses(device: str) -> list[str]:
    """The IP addresses of a device, without its link-local ones."""
    with IPRoute() as route:
        found = route.get_addr(index=_index(device))
        return [entry.get_attr("IFA_ADDRESS") for entry in found if entry["scope"] == RT_SCOPE_UNIVERSE]


def _index(device: str) -> int:
    try:
        return socket.if_nametoindex(device)
    except OSError:
        problem = f"there is no network device '{device}'; ip link lists them"
        raise DeviceError(problem) from None


def _switch_arp(route: IPRoute, index: int, flags: int) -> None:
    try:
        route.link("set", index=index, flags=flags, change=IFF_NOARP)
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise


def _switch_ipv6(device: str, value: str | None) -> str | None:
    """Sets ``disable_ipv6`` and returns what it was; None if the kernel has no IPv6 or the device is gone."""
    path = PROC / "ipv6/conf" / device / "disable_ipv6"
    before = _read(path)
    if before is not None and value is not None:
        path.write_text(value)
    return before


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return None


@contextmanager
def _promiscuous(index: int) -> Iterator[None]:
    """Membership of a packet socket ends with the process. The socket itself receives nothing."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as member:
        request = struct.pack("iHH8s", index, PACKET_MR_PROMISC, 0, b"")
        member.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
        yield
