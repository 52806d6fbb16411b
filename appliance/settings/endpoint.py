"""Endpoints and transfers as people write them: ``198.18.0.10:80``, ``[fd00::1]:80-[fd00::2]:8080``.

The forms of a transfer are those of tcpcopy's ``-x``: ``[ip:]port-ip:port``, ``[ip:]port-ip-port`` and
``[ip:]port-ip`` (same port); several are separated by commas. IPv6 addresses stand in brackets.
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
_ENDPOINT = re.compile(rf"(?:(?P<host>{_HOST}):)?(?P<port>[^\[\]:,-]*)")
_TARGET = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>[^\[\]:,-]*))?")
_TRANSFER = re.compile(
    rf"(?:(?P<source_host>{_HOST}):)?(?P<source_port>[^\[\]:,-]*)"
    rf"-(?P<target_host>{_HOST})(?:[:-](?P<target_port>[^\[\]:,-]*))?"
)


@dataclass(frozen=True)
class Endpoint:
    """An address and a port; without an address: that port of any address."""

    address: Address | None
    port: int

    def __str__(self) -> str:
        """The form that parse_source reads."""
        return f"{_host(self.address)}:{self.port}" if self.address else str(self.port)


@dataclass(frozen=True)
class Transfer:
    """Traffic to ``source`` is replayed to ``target``, whose address is never None."""

    source: Endpoint
    target: Endpoint

    def __str__(self) -> str:
        """The form that parse_transfer reads."""
        return f"{self.source}-{self.target}"


def parse_transfers(text: str) -> tuple[Transfer, ...]:
    """All transfers of one ``-x``. Raises TransferError."""
    return tuple(parse_transfer(item.strip()) for item in text.split(","))


def parse_transfer(text: str) -> Transfer:
    """One transfer. Raises TransferError."""
    match = _TRANSFER.fullmatch(text)
    if match is None:
        raise TransferError(
            f"'{text}' is not a transfer; write [ip:]port-ip:port, like 80-198.19.0.2:8080,"
            " and IPv6 addresses in brackets"
        )
    source = _source(match["source_host"], match["source_port"], text)
    port = match["target_port"]
    target = Endpoint(_server(match["target_host"], text), source.port if port is None else _port(port, text))
    return Transfer(source, target)


def parse_source(text: str) -> Endpoint:
    """``port`` or ``address:port``. Raises TransferError."""
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise TransferError(f"'{text}' is not a source; write port or address:port, IPv6 in brackets")
    return _source(match["host"], match["port"], text)


def parse_target(text: str) -> Endpoint:
    """``address:port``. Raises TransferError."""
    match = _TARGET.fullmatch(text)
    if match is None or match["port"] is None:
        raise TransferError(f"'{text}' is not a target; write address:port, IPv6 in brackets")
    return Endpoint(_server(match["host"], text), _port(match["port"], text))


def _host(address: Address) -> str:
    return f"[{address}]" if isinstance(address, IPv6Address) else str(address)


def _address(text: str, whole: str) -> Address:
    try:
        if text.startswith("["):
            return _plain(IPv6Address(text[1:-1]), whole)
        return IPv4Address(text)
    except ipaddress.AddressValueError:
        raise TransferError(
            f"'{text}' in '{whole}' is not an address; write IPv4 like 198.19.0.2, IPv6 like [fd00::2]"
        ) from None


def _source(host: str | None, port: str, whole: str) -> Endpoint:
    """As tcpcopy has it, 0.0.0.0 (and ::) stand for any address."""
    address = None if host is None else _address(host, whole)
    return Endpoint(None if address is None or address.is_unspecified else address, _port(port, whole))


def _server(text: str, whole: str) -> Address:
    """An address that frames can be sent to."""
    address = _address(text, whole)
    if address.is_unspecified or address.is_multicast or address.is_loopback or address == BROADCAST:
        raise TransferError(f"'{text}' in '{whole}' is no server's address; write the target's own address")
    return address


def _plain(address: IPv6Address, whole: str) -> IPv6Address:
    """The address, if it means the same on the wire as it is written."""
    if address.ipv4_mapped is not None:
        raise TransferError(f"'{address}' in '{whole}' is an IPv4 address; write {address.ipv4_mapped}")
    if address.scope_id is not None:
        raise TransferError(f"'{address}' in '{whole}' has a zone; leave out '%{address.scope_id}'")
    return address


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS and 1 <= int(text) <= LAST_PORT):
        raise TransferError(f"'{text}' in '{whole}' is not a port; write a number from 1 to {LAST_PORT}")
    return int(text)
