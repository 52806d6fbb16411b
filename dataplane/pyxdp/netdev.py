"""XDP features of a device, as the kernel's generic netlink family ``netdev`` reports them since Linux 6.3.

Format: Documentation/netlink/specs/netdev.yaml of the kernel, and its uapi headers netlink.h, genetlink.h.
"""

from __future__ import annotations

import socket
import struct
import sys
from dataclasses import dataclass
from enum import IntFlag

_NETLINK_GENERIC = 16
_CONTROL = 0x10  # GENL_ID_CTRL: the family that knows the numbers of the others
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2
_DEV_GET, _IFINDEX, _XDP_FEATURES, _ZC_MAX_SEGS, _XSK_FEATURES = 1, 1, 3, 4, 6
_TX_CHECKSUM = 2  # NETDEV_XSK_FLAGS_TX_CHECKSUM
_REQUEST = 1  # NLM_F_REQUEST
_ERROR = 2  # NLMSG_ERROR
_ATTRIBUTE_TYPE = 0x3FFF  # without the two flags

_HEADER = struct.Struct("IHHII")
_GENERIC = struct.Struct("BBH")
_ATTRIBUTE = struct.Struct("HH")
_LARGEST = 1 << 16


class XdpFeature(IntFlag):
    """``enum netdev_xdp_act``."""

    BASIC = 1  # native XDP: ABORTED, DROP, PASS, TX
    REDIRECT = 2
    NDO_XMIT = 4  # can be the target of a redirect
    XSK_ZEROCOPY = 8
    HW_OFFLOAD = 16
    RX_SG = 32  # frames of several buffers, for programs that declare it
    NDO_XMIT_SG = 64


@dataclass(frozen=True)
class XdpFeatures:
    """What a device can do; None where the kernel does not say.

    ``tx_checksum``: it fills in checksums of what an AF_XDP socket sends and asks that of (Linux 6.8).
    """

    features: XdpFeature
    zero_copy_segments: int | None
    tx_checksum: bool | None


def xdp_features(ifindex: int) -> XdpFeatures | None:
    """The features of a device, or None if this kernel cannot tell."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_GENERIC) as asker:
        asker.bind((0, 0))
        name = _attribute(_FAMILY_NAME, b"netdev\0")
        family = _ask(asker, _CONTROL, _GET_FAMILY, name).get(_FAMILY_ID)
        if family is None:
            return None
        number = int.from_bytes(family, sys.byteorder)
        found = _ask(asker, number, _DEV_GET, _attribute(_IFINDEX, struct.pack("I", ifindex)))
    features = found.get(_XDP_FEATURES)
    segments, metadata = found.get(_ZC_MAX_SEGS), found.get(_XSK_FEATURES)
    if features is None:
        return None
    return XdpFeatures(
        XdpFeature(int.from_bytes(features, sys.byteorder)),
        None if segments is None else int.from_bytes(segments, sys.byteorder),
        None if metadata is None else bool(int.from_bytes(metadata, sys.byteorder) & _TX_CHECKSUM),
    )


def _attribute(kind: int, value: bytes) -> bytes:
    size = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + bytes(-size % 4)


def _ask(asker: socket.socket, family: int, command: int, attributes: bytes) -> dict[int, bytes]:
    """The attributes of the answer; none if the kernel answers with an error."""
    body = _GENERIC.pack(command, 1, 0) + attributes
    asker.send(_HEADER.pack(_HEADER.size + len(body), family, _REQUEST, 0, 0) + body)
    answer = asker.recv(_LARGEST)
    size, kind, *_ = _HEADER.unpack_from(answer)
    return {} if kind == _ERROR else _attributes(answer[_HEADER.size + _GENERIC.size : size])


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if size < _ATTRIBUTE.size:
            break
        found[kind & _ATTRIBUTE_TYPE] = data[at + _ATTRIBUTE.size : at + size]
        at += (size + 3) & ~3
    return found
