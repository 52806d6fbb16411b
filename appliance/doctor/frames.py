"""The parts of IPv4, IPv6 and TCP headers that the doctor reads and writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP, UDP = 6, 17
V4, V6 = 4, 6
IPV4_HEADER, IPV6_HEADER, TCP_HEADER, PORTS = 20, 40, 20, 4
# Tunnels, by IP protocol and by UDP port.
TUNNELS = {4: "IPIP", 41: "IPv6 in IP", 47: "GRE or ERSPAN"}
UDP_TUNNELS = {4789: "VXLAN", 6081: "GENEVE", 8472: "VXLAN"}


@dataclass(frozen=True)
class Segment:
    """A TCP segment, or with ``tunnel`` a packet of a tunnel."""

    source: tuple[Address, int]
    destination: tuple[Address, int]
    flags: int = 0
    seq: int = 0
    ack: int = 0
    payload: bytes = b""
    truncated: bool = False
    tunnel: str = ""


def read(packet: bytes) -> Segment | None:
    """Reads an IP packet without its link header; None: neither TCP nor a tunnel."""
    network = _network(packet)
    if network is None:
        return None
    start, total, protocol, source, destination = network
    if protocol in TUNNELS:
        return Segment((source, 0), (destination, 0), tunnel=TUNNELS[protocol])
    if len(packet) < start + PORTS or protocol not in {TCP, UDP}:
        return None
    ports = struct.unpack_from("!HH", packet, start)
    ends = (source, ports[0]), (destination, ports[1])
    if protocol == UDP:
        tunnel = UDP_TUNNELS.get(ports[1], "")
        return Segment(*ends, tunnel=tunnel) if tunnel else None
    if len(packet) < start + TCP_HEADER:
        return Segment(*ends, truncated=True)
    seq, ack, size, flags = struct.unpack_from("!IIBB", packet, start + PORTS)
    payload = packet[start + (size >> 4) * 4 : total]
    return Segment(*ends, flags, seq, ack, payload, truncated=total > len(packet))


def _network(packet: bytes) -> tuple[int, int, int, Address, Address] | None:
    """The start of the next header, the packet's size, protocol, source and destination."""
    version = packet[0] >> 4 if packet else 0
    if version == V4 and len(packet) >= IPV4_HEADER:
        ends = IPv4Address(packet[12:16]), IPv4Address(packet[16:20])
        return (packet[0] & 15) * 4, int.from_bytes(packet[2:4]), packet[9], *ends
    if version == V6 and len(packet) >= IPV6_HEADER:
        ends6 = IPv6Address(packet[8:24]), IPv6Address(packet[24:40])
        return IPV6_HEADER, IPV6_HEADER + int.from_bytes(packet[4:6]), packet[6], *ends6
    return None


def write(segment: Segment) -> bytes:
    """An IP packet of a TCP segment without options."""
    (source, sport), (destination, dport) = segment.source, segment.destination
    header = struct.pack(
        "!HHIIBBHHH", sport, dport, segment.seq, segment.ack, 5 << 4, segment.flags, 65535, 0, 0
    )
    body = header + segment.payload
    pseudo = source.packed + destination.packed + struct.pack("!II", len(body), TCP)
    body = body[:16] + struct.pack("!H", _checksum(pseudo + body)) + body[18:]
    if isinstance(source, IPv6Address):
        return struct.pack("!IHBB", 6 << 28, len(body), TCP, 64) + source.packed + destination.packed + body
    ip = struct.pack("!BBHHHBBH", 0x45, 0, IPV4_HEADER + len(body), 0, 0x4000, 64, TCP, 0)
    ip += source.packed + destination.packed
    return ip[:10] + struct.pack("!H", _checksum(ip)) + ip[12:] + body


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
