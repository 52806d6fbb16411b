"""What a network device can do for AF_XDP, asked without changing it."""

from __future__ import annotations

from dataclasses import dataclass

from dataplane.pyxdp import ethtool
from dataplane.pyxdp._pyxdp import lib
from dataplane.pyxdp.ethtool import Queues
from dataplane.pyxdp.netdev import XdpFeature, XdpFeatures, xdp_features
from dataplane.pyxdp.numa import near
from dataplane.pyxdp.rss import Rss, rss

_ONE_QUEUE = Queues(0, 1, 1, 0, 1, 1)

# Largest MTU with a native program that does not declare fragments, for pages of 4096 bytes: what the page
# leaves beside headroom, skb_shared_info and link header (in veth it bounds the MTU of the other end). Other
# drivers depend on their ring's buffers, and only say so when the program is attached.
_NATIVE_MTU = {"ena": 3498, "nicvf": 1508, "veth": 3506, "virtio_net": 3506}

# The largest MTU that one frame of an AF_XDP socket carries, VLAN tags included.
_SOCKET_MTU = int(lib.afxdp_largest_mtu(4096))


@dataclass(frozen=True)
class Capabilities:
    """A device as AF_XDP sees it. None means: this kernel or driver does not say.

    driver, bus: as ``ethtool -i`` (bus is empty for virtual devices). queues: as ``ethtool -l``.
    native: the driver runs XDP programs and can redirect to sockets. zero_copy: it hands frames to sockets
    without a copy. zero_copy_segments: buffers that one zero-copy frame may have (1: jumbo frames cost it).
    native_mtu: the largest MTU, in bytes, with which a native program can be attached. socket_mtu: the
    largest MTU whose frames a Socket can take. near_cpus: those of its NUMA node; none where it has no node,
    or does not say. rss: how frames are spread over the queues. notes: what stands in the way, a sentence
    each.
    """

    device: str
    ifindex: int
    driver: str
    bus: str
    mac: str
    mtu: int
    up: bool
    queues: Queues
    native: bool | None
    zero_copy: bool | None
    zero_copy_segments: int | None
    native_mtu: int | None
    socket_mtu: int
    near_cpus: tuple[int, ...]
    rss: Rss | None
    notes: tuple[str, ...]


def capabilities(device: str) -> Capabilities:
    """Asks the kernel about a device of this network namespace. Raises XdpError if there is none."""
    plain = ethtool.interface(device)
    name, bus = ethtool.driver(device)
    queues = ethtool.queues(device)
    known = xdp_features(plain.ifindex)
    native_mtu = _NATIVE_MTU.get(name)
    notes = [
        *_state_notes(device, plain, queues),
        *_feature_notes(name or "of the device", known),
        *_mtu_notes(device, plain.mtu, native_mtu),
    ]
    return Capabilities(
        device=device,
        ifindex=plain.ifindex,
        driver=name,
        bus=bus,
        mac=plain.mac,
        mtu=plain.mtu,
        up=plain.up,
        queues=queues or _ONE_QUEUE,
        native=_has(known, XdpFeature.BASIC | XdpFeature.REDIRECT),
        zero_copy=_has(known, XdpFeature.XSK_ZEROCOPY),
        zero_copy_segments=known.zero_copy_segments if known else None,
        native_mtu=native_mtu,
        socket_mtu=_SOCKET_MTU,
        near_cpus=near(device),
        rss=rss(device),
        notes=tuple(notes),
    )


def _has(known: XdpFeatures | None, wanted: XdpFeature) -> bool | None:
    return None if known is None else wanted in known.features


def _state_notes(device: str, plain: ethtool.Interface, queues: Queues | None) -> list[str]:
    notes = []
    if not plain.up:
        notes.append(f"it is down: ip link set {device} up")
    if queues is None:
        notes.append("the driver does not say how many queues it has; one is assumed")
    return notes


def _feature_notes(driver: str, known: XdpFeatures | None) -> list[str]:
    if known is None:
        return ["this kernel does not report XDP features (Linux 6.3 does): try, and read back the mode"]
    if not _has(known, XdpFeature.BASIC | XdpFeature.REDIRECT):
        return [f"driver {driver} has no native XDP with redirect: only generic mode, slower, with a copy"]
    if not _has(known, XdpFeature.XSK_ZEROCOPY):
        return [f"driver {driver} has no zero-copy: the kernel copies each frame"]
    return []


def _mtu_notes(device: str, mtu: int, native_mtu: int | None) -> list[str]:
    notes = []
    if mtu > _SOCKET_MTU:
        notes.append(
            f"MTU {mtu} does not fit a socket's frame: ip link set {device} mtu {_SOCKET_MTU}, or less"
        )
    if native_mtu is not None and mtu > native_mtu:
        notes.append(f"MTU {mtu} is too large for native XDP: ip link set {device} mtu {native_mtu}, or less")
    return notes
