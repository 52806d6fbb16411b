"""What a network device can do for AF_XDP, asked without changing it."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

# The largest MTU that one buffer of an AF_XDP socket carries, VLAN tags included; and several.
_SOCKET_MTU = int(lib.afxdp_largest_mtu(4096))
_JUMBO_MTU = int(lib.AFXDP_JUMBO_MTU)


@dataclass(frozen=True)
class Capabilities:
    """A device as AF_XDP sees it. None means: this kernel or driver does not say.

    driver, bus: as ``ethtool -i`` (bus is empty for virtual devices). queues: as ``ethtool -l``.
    native: the driver runs XDP programs and can redirect to sockets. zero_copy: it hands frames to sockets
    without a copy. zero_copy_segments: buffers that one zero-copy frame may have (1: jumbo frames cost it).
    tx_checksum: it can fill in the checksums of what a socket sends; the line computes them itself.
    splits: it can hand over a frame in several buffers. native_mtu: the largest MTU, in bytes, with which a
    native program that wants each frame in one can be attached. socket_mtu: the largest MTU whose frames one
    buffer of a Socket can take. near_cpus: those of its NUMA node; none where it has no node,
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
    tx_checksum: bool | None
    splits: bool | None
    native_mtu: int | None
    socket_mtu: int
    near_cpus: tuple[int, ...]
    rss: Rss | None
    notes: tuple[str, ...]

    @property
    def whole_mtu(self) -> int:
        """The largest MTU whose frames come in one buffer."""
        return min(self.socket_mtu, self.native_mtu or self.socket_mtu)

    @property
    def largest_mtu(self) -> int:
        """The largest MTU whose frames can be received from native XDP."""
        return _JUMBO_MTU if self.splits else self.whole_mtu

    @property
    def split(self) -> bool:
        """Frames of its MTU come in several buffers: what receives them must have ``fragments``."""
        return self.whole_mtu < self.mtu <= self.largest_mtu


def capabilities(device: str) -> Capabilities:
    """Asks the kernel about a device of this network namespace. Raises XdpError if there is none."""
    plain = ethtool.interface(device)
    name, bus = ethtool.driver(device)
    queues = ethtool.queues(device)
    known = xdp_features(plain.ifindex)
    found = Capabilities(
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
        tx_checksum=known.tx_checksum if known else None,
        splits=_has(known, XdpFeature.RX_SG),
        native_mtu=_NATIVE_MTU.get(name),
        socket_mtu=_SOCKET_MTU,
        near_cpus=near(device),
        rss=rss(device),
        notes=(*_state_notes(device, plain, queues), *_feature_notes(name or "of the device", known)),
    )
    return replace(found, notes=(*found.notes, *_mtu_notes(found)))


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


def _mtu_notes(found: Capabilities) -> list[str]:
    device, mtu = found.device, found.mtu
    if found.splits:
        if mtu <= found.largest_mtu:
            return []
        return [f"MTU {mtu} is too large: ip link set {device} mtu {found.largest_mtu}, or less"]
    notes = []
    if mtu > found.socket_mtu:
        notes.append(
            f"MTU {mtu} does not fit a socket's frame: ip link set {device} mtu {found.socket_mtu}, or less"
        )
    if found.native_mtu is not None and mtu > found.native_mtu:
        notes.append(
            f"MTU {mtu} is too large for native XDP: ip link set {device} mtu {found.native_mtu}, or less"
        )
    return notes
