"""Receive-side scaling: how a device spreads what it receives over its queues; ``ethtool -x`` and ``-n``.

Formats: linux/ethtool.h, struct ethtool_rxfh and struct ethtool_rxnfc.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from dataplane.pyxdp.ethtool import ask

_GRXFH, _GRSSH, _SRSSH = 0x29, 0x46, 0x47
_HEADER = struct.Struct("4I2B6x")  # command, context, size of the table, of the key, function, symmetry
_FIELDS = struct.Struct("IIQ")
_TOEPLITZ = 1
_NO_CHANGE, _NO_CHANGE_8 = 0xFFFFFFFF, 0xFF
_FLOWS = ((1, 5), (2, 6))  # TCP and UDP, over IPv4 and IPv6
_ADDRESSES, _PORTS = 0x30, 0xC0  # bits of both addresses, and of both ports


class Symmetry(IntEnum):
    """How source and destination are combined before they are hashed (``RXH_XFRM_…``)."""

    PLAIN = 0
    XOR = 1
    OR_XOR = 2


class Fields(IntFlag):
    """Which parts of a packet are hashed."""

    ADDRESSES = 1
    PORTS = 2


@dataclass(frozen=True)
class Rss:
    """The queue is ``table[hash % len(table)]``, by a Toeplitz hash with ``key``.

    ``fields`` of TCP and UDP, over IPv4 and IPv6.
    """

    table: tuple[int, ...]
    key: bytes
    symmetry: Symmetry
    fields: tuple[tuple[Fields, Fields], tuple[Fields, Fields]]


def rss(device: str) -> Rss | None:
    """How the device spreads; None if its driver does not say all of it, or hashes in another way."""
    sizes = ask(device, _HEADER.pack(_GRSSH, 0, 0, 0, 0, 0))
    if sizes is None:
        return None
    _, _, entries, key_size, _, _ = _HEADER.unpack_from(sizes)
    if not entries or not key_size:
        return None
    answer = ask(device, _HEADER.pack(_GRSSH, 0, entries, key_size, 0, 0) + bytes(4 * entries + key_size))
    fields = tuple(tuple(_fields(device, flow) for flow in flows) for flows in _FLOWS)
    if answer is None or any(one is None for both in fields for one in both):
        return None
    *_, function, symmetry = _HEADER.unpack_from(answer)
    if function != _TOEPLITZ or symmetry not in set(Symmetry):
        return None
    at = _HEADER.size + 4 * entries
    table = struct.unpack_from(f"{entries}I", answer, _HEADER.size)
    return Rss(table, answer[at : at + key_size], Symmetry(symmetry), fields)  # type: ignore[arg-type]


def set_rss(device: str, key: bytes = b"", symmetry: Symmetry | None = None) -> bool:
    """Changes the key, or the symmetry, and nothing else; False if the driver cannot."""
    how = _NO_CHANGE_8 if symmetry is None else symmetry
    return ask(device, _HEADER.pack(_SRSSH, 0, _NO_CHANGE, len(key), 0, how) + key) is not None


def _fields(device: str, flow: int) -> Fields | None:
    """What is hashed of a kind of flow; None if only one of two ends is."""
    answer = ask(device, _FIELDS.pack(_GRXFH, flow, 0))
    if answer is None:
        return None
    bits = _FIELDS.unpack(answer)[2]
    found = Fields(0)
    for mask, field in ((_ADDRESSES, Fields.ADDRESSES), (_PORTS, Fields.PORTS)):
        if bits & mask == mask:
            found |= field
            bits &= ~mask
    return None if bits else found
