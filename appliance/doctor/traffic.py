"""The mirrored traffic: counted by listening, or from the counters of a running engine."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.doctor.finding import fault, ok, warning
from appliance.doctor.frames import SYN, Address, Segment, read
from appliance.settings.transfer import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from appliance.contract.doctor import Finding
    from appliance.settings.config import Config

ETHERTYPES = {0x0800, 0x86DD}
VLAN_TAGS = {0x8100, 0x88A8}
ETHERNET_HEADER, VLAN_TAG = 14, 4
MOST_FRAMES = 200_000
MOST_SIZE = 65_535
REPEAT_S = 0.05  # a duplicate comes sooner, a retransmission later
DUPLICATES_SHARE = 0.01
TLS_HANDSHAKE = b"\x16\x03"  # RFC 8446 5.1

# linux/if_packet.h
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
TP_STATUS_VLAN_VALID = 1 << 4
AUXDATA = struct.Struct("IIIHHHH")
SO_TIMESTAMPNS, TIMESPEC = 35, struct.Struct("qq")  # asm-generic/socket.h
BESIDE = socket.CMSG_SPACE(AUXDATA.size) + socket.CMSG_SPACE(TIMESPEC.size)


@dataclass
class Traffic:
    """What was counted on the mirror in so many seconds."""

    seconds: float
    frames: int = 0
    client: int = 0
    server: int = 0
    duplicates: int = 0
    truncated: int = 0
    vlan: int = 0
    connections: int = 0  # those whose first bytes were seen
    tls: int = 0
    tunnels: Counter[str] = field(default_factory=Counter)
    services: Counter[str] = field(default_factory=Counter)  # destinations of SYNs that match no transfer
    clients: list[tuple[Address, int]] = field(default_factory=list)  # clients seen, with the service port


class Listener:
    """Counts frames into Traffic, by the configuration's transfers."""

    def __init__(self, config: Config, seconds: float) -> None:
        self.traffic = Traffic(seconds)
        self._services = {(each.source.address, each.source.port) for each in config.transfers}
        self._seen: dict[int, float] = {}
        self._spoken: set[tuple[object, object]] = set()

    def take(self, packet: bytes, *, tagged: bool, now: float) -> None:
        """Counts one packet, without its link header."""
        traffic = self.traffic
        traffic.frames += 1
        traffic.vlan += tagged
        key = hash(packet)
        traffic.duplicates += now - self._seen.get(key, -REPEAT_S) < REPEAT_S
        self._seen[key] = now
        segment = read(packet)
        if segment is None:
            return
        traffic.truncated += segment.truncated
        if segment.tunnel:
            traffic.tunnels[segment.tunnel] += 1
        elif self._is_service(segment.destination):
            self._from_client(segment)
        elif self._is_service(segment.source):
            traffic.server += 1
        elif segment.flags & SYN:
            traffic.services["{}:{}".format(*segment.destination)] += 1

    def _is_service(self, end: tuple[Address, int]) -> bool:
        return end in self._services or (None, end[1]) in self._services

    def _from_client(self, segment: Segment) -> None:
        self.traffic.client += 1
        connection = (segment.source, segment.destination)
        if not segment.payload or connection in self._spoken:
            return
        self._spoken.add(connection)
        self.traffic.connections += 1
        self.traffic.tls += segment.payload.startswith(TLS_HANDSHAKE)
        self.traffic.clients.append((segment.source[0], segment.destination[1]))


def listen(config: Config, seconds: float) -> Traffic:
    """Listens on the mirror ports for so long, or for MOST_FRAMES. Raises OSError."""
    listener = Listener(config, seconds)
    with ExitStack() as stack:
        sockets = [stack.enter_context(_tap(port.device)) for port in config.mirror]
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and listener.traffic.frames < MOST_FRAMES:
            for each in select.select(sockets, [], [], left)[0]:
                _take_frame(each, listener)
    return listener.traffic


def _tap(device: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    tap.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    tap.bind((device, ETH_P_ALL))
    return tap


def _take_frame(tap: socket.socket, listener: Listener) -> None:
    """Reads a frame; the kernel passes its time and its outer VLAN tag as ancillary data."""
    frame, beside, _, (_, _, kind, *_) = tap.recvmsg(MOST_SIZE, BESIDE)
    if kind == socket.PACKET_OUTGOING:
        return
    told = {(level, what): data for level, what, data in beside}
    tagged = bool(AUXDATA.unpack(told[SOL_PACKET, PACKET_AUXDATA])[0] & TP_STATUS_VLAN_VALID)
    seconds, nanoseconds = TIMESPEC.unpack(told[socket.SOL_SOCKET, SO_TIMESTAMPNS])
    at = ETHERNET_HEADER - 2
    while (ethertype := int.from_bytes(frame[at : at + 2])) in VLAN_TAGS:
        tagged = True
        at += VLAN_TAG
    if ethertype in ETHERTYPES:
        listener.take(frame[at + 2 :], tagged=tagged, now=seconds + nanoseconds / 1e9)


def counted(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> Traffic:
    """What an engine counted between two readings. It does not count tunnels, tags and services."""
    since = {name: after[name] - before[name] for name in after}
    return Traffic(
        seconds,
        frames=since["mirror_frames"],
        client=since["mirror_client_frames"],
        server=since["mirror_server_frames"],
        duplicates=since["drop_mirror_duplicate"],
        truncated=since["drop_mirror_truncated"],
        connections=sum(count for name, count in since.items() if name.startswith("protocol_")),
        tls=since["protocol_tls"],
    )


def examine_traffic(config: Config, traffic: Traffic) -> Iterator[Finding]:
    """What the counts mean."""
    devices = ", ".join(port.device for port in config.mirror)
    if not traffic.frames:
        yield fault(
            "mirror",
            f"{devices}: no frame in {traffic.seconds:g} s",
            "the switch mirrors nothing to this port, or production is idle",
            "check the mirror session's destination port and the cable; send a request while it listens",
        )
        return
    yield ok("mirror", f"{devices}: {traffic.frames:,} frames in {traffic.seconds:g} s")
    yield from _frames(traffic)
    yield _directions(config, traffic)
    yield from _protocols(config, traffic)


def _frames(traffic: Traffic) -> Iterator[Finding]:
    if traffic.tunnels:
        names = ", ".join(f"{count:,} of {name}" for name, count in traffic.tunnels.most_common())
        yield fault(
            "tunnel",
            f"tunnelled frames: {names}",
            "the switch or cloud sends its mirror through a tunnel",
            "mirror to a local port, or terminate the tunnel before the mirror port",
        )
    if traffic.vlan:
        yield ok("vlan", f"{traffic.vlan:,} frames have a VLAN tag; up to two are read")
    if traffic.truncated:
        yield fault(
            "truncated",
            f"{traffic.truncated:,} frames are cut short",
            "the mirror session truncates frames",
            "turn truncation off, and raise the MTU along the path",
        )
    share = traffic.duplicates / traffic.frames
    if share > DUPLICATES_SHARE:
        yield warning(
            "duplicates",
            f"{share:.0%} of the frames were seen twice",
            "the mirror session copies frames both where they enter the switch and where they leave",
            "mirror one direction of each port, or only the server's port",
        )


def _directions(config: Config, traffic: Traffic) -> Finding:
    services = ", ".join(str(transfer.source) for transfer in config.transfers)
    if not traffic.client and not traffic.server:
        seen = ", ".join(f"{name} ({count})" for name, count in traffic.services.most_common(3)) or "none"
        return fault(
            "service",
            f"no frame to or from {services}; connections opened to: {seen}",
            "another port is mirrored, or source names another service",
            "set transfers[].source to the address and port that clients connect to",
        )
    if not traffic.client:
        return fault(
            "direction",
            f"{traffic.server:,} frames from {services}, none to it",
            "only what the server sends is mirrored",
            "mirror the other direction, or both",
        )
    if not traffic.server:
        return warning(
            "direction",
            f"{traffic.client:,} frames to {services}, none from it",
            "only what clients send is mirrored, so gaps in it are noticed later",
            "mirror both directions if the port can carry them",
        )
    return ok("direction", f"{traffic.client:,} frames to {services}, {traffic.server:,} from it")


def _protocols(config: Config, traffic: Traffic) -> Iterator[Finding]:
    refused = any(transfer.tls is Tls.REFUSE for transfer in config.transfers)
    if traffic.tls and refused:
        yield warning(
            "tls",
            f"{traffic.tls / traffic.connections:.0%} of {traffic.connections:,} connections speak TLS",
            "their bytes are bound to production's keys, so they are not replayed",
            "mirror behind the point where TLS is terminated",
        )


def some_client(traffic: Traffic | None, port: int, version: int) -> Address | None:
    """A client seen to talk to this service port."""
    found: Sequence[tuple[Address, int]] = traffic.clients if traffic else ()
    return next((address for address, to in found if to == port and address.version == version), None)
