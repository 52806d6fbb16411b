"""Sources and targets as people write them: ``198.18.0.10:80``, ``[fd00::1]:80-[fd00::2]:8080``.

A transfer of tcpcopy's ``-x`` is ``[ip:]port-ip:port``, ``[ip:]port-ip-port`` or ``[ip:]port-ip`` (same
port); commas separate several. IPv6 addresses are written in brackets.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from appliance.errors import TransferError

Address = IPv4Address | IPv6Address

BROADCAST = IPv4Address("255.255.255.255")
LAST_PORT = 65535
MAX_DIGITS = len(str(LAST_PORT))

_HOST = r"\[[^\[\]]*\]|[^\[\]:,-]*"
_SOURCE = re.compile(rf"(?:(?P<host>{_HOST}):)?(?P<port>[^\[\]:,-]*)")
_TARGET = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>[^\[\]:,-]*))?")
_TRANSFER = re.compile(
    rf"(?:(?P<source_host>{_HOST}):)?(?P<source_port>[^\[\]:,-]*)"
    rf"-(?P<target_host>{_HOST})(?:[:-](?P<target_port>[^\[\]:,-]*))?"
)


@dataclass(frozen=True)
class Source:
    """What production's clients connect to; without an address: that port of any server."""

    address: Address | None
    port: int

    def __str__(self) -> str:
        """The form that parse_source reads."""
        return str(self.port) if self.address is None else written(self.address, self.port)


@dataclass(frozen=True)
class Target:
    """The server under test."""

    address: Address
    port: int

    def __str__(self) -> str:
        """The form that parse_target reads."""
        return written(self.address, self.port)


def written(address: Address, port: int) -> str:
    """``address:port``, IPv6 in brackets."""
    return f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}"


def parse_transfers(text: str) -> tuple[tuple[Source, Target], ...]:
    """Every transfer of one ``-x``. Raises TransferError."""
    return tuple(parse_transfer(item.strip()) for item in text.split(","))


def parse_transfer(text: str) -> tuple[Source, Target]:
    """One transfer of a ``-x``. Raises TransferError."""
    match = _TRANSFER.fullmatch(text)
    if match is None:
        raise TransferError(
            f"'{text}' is not a transfer; write [ip:]port-ip:port, like 80-198.19.0.2:8080,"
            " and IPv6 addresses in brackets"
        )
    source = _source(match["source_host"], match["source_port"], text)
    port = match["target_port"]
    target = Target(_server(match["target_host"], text), source.port if port is None else _port(port, text))
    return source, target


def parse_source(text: str) -> Source:
    """``port`` or ``address:port``. Raises TransferError."""
    match = _SOURCE.fullmatch(text)
    if match is None:
        raise TransferError(f"'{text}' is not a source; write port or address:port, IPv6 in brackets")
    return _source(match["host"], match["port"], text)


def parse_target(text: str) -> Target:
    """``address:port``. Raises TransferError."""
    match = _TARGET.fullmatch(text)
    if match is None or match["port"] is None:
        raise TransferError(f"'{text}' is not a target; write address:port, IPv6 in brackets")
    return Target(_server(match["host"], text), _port(match["port"], text))


def _address(text: str, whole: str) -> Address:
    try:
        if text.startswith("["):
            return _plain(IPv6Address(text[1:-1]), whole)
        return IPv4Address(text)
    except ipaddress.AddressValueError:
        raise TransferError(
            f"'{text}' in '{whole}' is not an address; write IPv4 like 198.19.0.2, IPv6 like [fd00::2]"
        ) from None


def _source(host: str | None, port: str, whole: str) -> Source:
    """As in tcpcopy, 0.0.0.0 (and ::) means any address."""
    address = None if host is None else _address(host, whole)
    return Source(None if address is None or address.is_unspecified else address, _port(port, whole))


def _server(text: str, whole: str) -> Address:
    """An address that frames can be sent to."""
    address = _address(text, whole)
    if address.is_unspecified or address.is_multicast or address.is_loopback or address == BROADCAST:
        raise TransferError(
            f"'{text}' in '{whole}' cannot be a server's address; write the target's own address"
        )
    return address


def _plain(address: IPv6Address, whole: str) -> IPv6Address:
    """The address, unless it means something else on the wire."""
    if address.ipv4_mapped is not None:
        raise TransferError(f"'{address}' in '{whole}' is an IPv4 address; write {address.ipv4_mapped}")
    if address.scope_id is not None:
        raise TransferError(f"'{address}' in '{whole}' has a zone; leave out '%{address.scope_id}'")
    return address


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 1 <= int(text) <= LAST_PORT):
        raise TransferError(f"'{text}' in '{whole}' is not a port; write a number from 1 to {LAST_PORT}")
    return int(text)
