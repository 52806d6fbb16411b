"""Frames for the steering tests, made by scapy, and the names of who takes part."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.ipsec import AH
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Raw

SERVER4, CLIENT4, OTHER4 = "198.18.0.1", "198.18.0.2", "198.18.0.9"
SERVER6, CLIENT6, OTHER6 = "2001:db8::1", "2001:db8::2", "2001:db8::9"
PORT, OTHER_PORT = 8080, 8081

ENDPOINTS = [(IPv4Address(SERVER4), PORT), (IPv6Address(SERVER6), PORT)]

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
MORE = 1  # the flag "more fragments"


def tcp4(source: str = CLIENT4, destination: str = SERVER4, **more: object) -> Packet:
    """IPv4 and TCP from client to server, or as told: ``sport``, ``dport``, or fields of the IP header."""
    ports = {name: more.pop(name, default) for name, default in (("sport", 40000), ("dport", PORT))}
    return IP(src=source, dst=destination, **more) / TCP(**ports)


def tcp6(*extensions: Packet, source: str = CLIENT6, destination: str = SERVER6, **ports: int) -> Packet:
    """IPv6, extension headers, TCP from client to server, or as told."""
    packet = IPv6(src=source, dst=destination)
    for extension in extensions:
        packet /= extension
    return packet / TCP(sport=ports.get("sport", 40000), dport=ports.get("dport", PORT))


def from_server4(**more: object) -> Packet:
    """The answer, IPv4."""
    return tcp4(SERVER4, CLIENT4, sport=PORT, dport=40000, **more)


def from_server6(*extensions: Packet) -> Packet:
    """The answer, IPv6."""
    return tcp6(*extensions, source=SERVER6, destination=CLIENT6, sport=PORT, dport=40000)


def later4(source: str, destination: str, protocol: int = 6) -> Packet:
    """A fragment that is not the first."""
    return IP(src=source, dst=destination, proto=protocol, frag=100) / Raw(bytes(range(64)))


def later6(source: str, destination: str, following: int = 6) -> Packet:
    """The same, IPv6."""
    fragment = IPv6ExtHdrFragment(nh=following, offset=100, id=7)
    return IPv6(src=source, dst=destination) / fragment / Raw(bytes(range(64)))


def first6(*extensions: Packet) -> Packet:
    """The first fragment, which shows the ports."""
    return tcp6(IPv6ExtHdrFragment(m=1, id=7), *extensions)


HOP, OPTIONS = IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt()
ROUTING = IPv6ExtHdrRouting(addresses=["2001:db8::5", "2001:db8::6"], segleft=0)
AUTHENTICATION = AH(nh=6, payloadlen=4, spi=1, seq=1, icv=bytes(12))

TO_SERVER = {
    "ipv4": LINK / tcp4(),
    "ipv4 options": LINK / tcp4(options=[IPOption_NOP()] * 40),
    "ipv4 first fragment": LINK / tcp4(flags=MORE),
    "vlan": LINK / Dot1Q(vlan=5) / tcp4(),
    "vlan in vlan": LINK / Dot1Q(vlan=5) / Dot1Q(vlan=6) / tcp4(),
    "qinq": LINK / Dot1AD(vlan=5) / Dot1Q(vlan=6) / tcp4(),
    "ipv6": LINK / tcp6(),
    "ipv6 vlan": LINK / Dot1Q(vlan=5) / tcp6(),
    "ipv6 hop by hop": LINK / tcp6(HOP),
    "ipv6 routing": LINK / tcp6(ROUTING),
    "ipv6 authentication": LINK / tcp6(AUTHENTICATION),
    "ipv6 first fragment": LINK / first6(),
    "ipv6 first fragment, options": LINK / first6(OPTIONS),
    "ipv6 four extensions": LINK / tcp6(HOP, OPTIONS, ROUTING, OPTIONS),
}
FROM_SERVER = {
    "ipv4": LINK / from_server4(),
    "ipv4 first fragment": LINK / from_server4(flags=MORE),
    "ipv6": LINK / from_server6(),
    "ipv6 extensions": LINK / from_server6(HOP, OPTIONS),
    "qinq": LINK / Dot1AD(vlan=5) / Dot1Q(vlan=6) / from_server6(),
}
# Fragments that do not show the ports: the address decides.
PIECES_TO_SERVER = {
    "ipv4 later": LINK / later4(CLIENT4, SERVER4),
    "ipv4 first, no room for ports": LINK / IP(src=CLIENT4, dst=SERVER4, proto=6, flags=MORE) / Raw(b"\x1f"),
    "ipv6 later": LINK / later6(CLIENT6, SERVER6),
    "ipv6 later, of options": LINK / later6(CLIENT6, SERVER6, following=60),
}
PIECES_FROM_SERVER = {
    "ipv4 later": LINK / later4(SERVER4, CLIENT4),
    "ipv6 later": LINK / later6(SERVER6, CLIENT6),
}
OTHERS = {
    "other port": LINK / tcp4(dport=OTHER_PORT),
    "other address": LINK / tcp4(destination=OTHER4),
    "the server as a client": LINK / tcp4(SERVER4, OTHER4),
    "other port, ipv6": LINK / tcp6(dport=OTHER_PORT),
    "first fragment of other port": LINK / tcp4(dport=OTHER_PORT, flags=MORE),
    "later fragment of another": LINK / later4(CLIENT4, OTHER4),
    "later fragment of another, ipv6": LINK / later6(CLIENT6, OTHER6),
    "later fragment of udp": LINK / later4(CLIENT4, SERVER4, protocol=17),
    "udp": LINK / IP(src=CLIENT4, dst=SERVER4) / UDP(dport=PORT),
    "udp from the server": LINK / IP(src=SERVER4, dst=CLIENT4) / UDP(sport=PORT),
    "echo reply": LINK / IP(src=SERVER4, dst=CLIENT4) / ICMP(type=0),
    "arp": LINK / ARP(psrc=SERVER4, pdst=CLIENT4),
    "lldp": Ether(type=0x88CC) / Raw(bytes(46)),
    "three tags": LINK / Dot1Q() / Dot1Q() / Dot1Q() / tcp4(),
}


def _patched(frame: Packet, at: int, value: int) -> Raw:
    data = bytearray(bytes(frame))
    data[at] = value
    return Raw(bytes(data))


MALFORMED = {
    "header shorter than a header": _patched(LINK / tcp4(), 14, 0x44),
    "ipv4 that says 6": _patched(LINK / tcp4(), 14, 0x65),
    "ipv6 that says 4": _patched(LINK / tcp6(), 14, 0x45),
    "five extensions": LINK / tcp6(HOP, OPTIONS, ROUTING, OPTIONS, OPTIONS),
    "extension beyond the end": _patched(LINK / tcp6(OPTIONS), 14 + 40 + 1, 200),
    "options beyond the end": Raw(bytes(_patched(LINK / tcp4(), 14, 0x4F))[:60]),
}


def icmp_error(source: str, kind: int, quoted: Packet) -> Packet:
    """An ICMP error message to the client about a packet."""
    return LINK / IP(src=source, dst=CLIENT4) / ICMP(type=kind) / Raw(bytes(quoted))


def icmp6_error(source: str, kind: int, quoted: Packet) -> Packet:
    """The same, IPv6."""
    return LINK / IPv6(src=source, dst=CLIENT6) / ICMPv6DestUnreach(type=kind) / Raw(bytes(quoted))
