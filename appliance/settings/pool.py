"""Pools of forged clients as people write them: ``198.18.200.x``, ``198.18.0.0/24``, ``fd00::1-fd00::ff``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from appliance.settings.endpoint import Address  # noqa: TC001 - pydantic reads the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_ADDRESSES = 1 << 24
FIRST_PORT = 1024  # the lowest port of a forged client
PORTS = (1 << 16) - FIRST_PORT
MULTICAST4, MULTICAST6 = int(IPv4Address("224.0.0.0")), int(IPv6Address("ff00::"))
_LAST_OCTET = re.compile(r"(\d+\.\d+\.\d+)\.x")
_HOSTS4 = 30  # the longest prefix that has a network and a broadcast address


@dataclass(frozen=True)
class ClientRange:
    """Consecutive addresses of one IP version, first and last included."""

    first: Address
    last: Address

    def __str__(self) -> str:
        """A form that parse_clients reads."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    @property
    def count(self) -> int:
        """The number of addresses."""
        return int(self.last) - int(self.first) + 1

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.first.version


def parse_clients(text: str) -> tuple[ClientRange, ...]:
    """The ranges of one ``-c``, separated by commas. Raises ValueError with a sentence."""
    return tuple(_range(item.strip()) for item in text.split(","))


def merged(ranges: Iterable[ClientRange]) -> tuple[ClientRange, ...]:
    """The same addresses, each once, in the fewest ranges."""
    found: list[ClientRange] = []
    for one in sorted(ranges, key=lambda each: (each.version, int(each.first))):
        if found and found[-1].version == one.version and int(one.first) <= int(found[-1].last) + 1:
            found[-1] = ClientRange(found[-1].first, max(found[-1].last, one.last, key=int))
        else:
            found.append(one)
    return tuple(found)


def without(ranges: Iterable[ClientRange], address: Address) -> tuple[ClientRange, ...]:
    """The ranges without one address."""
    found: list[ClientRange] = []
    for one in ranges:
        if one.version != address.version or not int(one.first) <= int(address) <= int(one.last):
            found.append(one)
            continue
        if one.first != address:
            found.append(ClientRange(one.first, address - 1))
        if one.last != address:
            found.append(ClientRange(address + 1, one.last))
    return tuple(found)


def _range(text: str) -> ClientRange:
    octets = _LAST_OCTET.fullmatch(text)
    if octets:
        text = f"{octets[1]}.1-{octets[1]}.254"
    try:
        first, last = _network(text) if "/" in text else _ends(text)
    except ValueError:
        raise ValueError(
            f"'{text}' names no clients; write an address, 198.18.0.x, 198.18.0.0/24 or"
            " 198.18.0.1-198.18.0.9 (IPv6 without brackets)"
        ) from None
    found = ClientRange(first, last)
    if first.version != last.version or found.count < 1:
        raise ValueError(f"'{text}' ends before it begins; write the lower address first")
    if found.count > MOST_ADDRESSES:
        raise ValueError(f"'{text}' has {found.count:,} addresses; give at most {MOST_ADDRESSES:,}")
    for end in (first, last):
        if end.is_unspecified or end.is_loopback or not int(end) < _end_of_unicast(end):
            raise ValueError(f"'{text}': {end} cannot be a client's address; give addresses of hosts")
    return found


def _end_of_unicast(address: Address) -> int:
    return MULTICAST4 if isinstance(address, IPv4Address) else MULTICAST6


def _ends(text: str) -> tuple[Address, Address]:
    first, _, last = text.partition("-")
    return _plain(first.strip()), _plain((last or first).strip())


def _network(text: str) -> tuple[Address, Address]:
    """Without IPv4's network and broadcast address, and without the first address of an IPv6 network."""
    network: IPv4Network | IPv6Network = ip_network(text)
    first, last = network[0], network[-1]
    if isinstance(network, IPv4Network) and network.prefixlen <= _HOSTS4:
        return first + 1, last - 1
    if isinstance(network, IPv6Network) and network.num_addresses > 2:  # noqa: PLR2004 - RFC 6164
        return first + 1, last  # the first is the routers' anycast address (RFC 4291 2.6.1)
    return first, last


def _plain(text: str) -> Address:
    address = ip_address(text)
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.scope_id is not None):
        raise ValueError(text)
    return address
