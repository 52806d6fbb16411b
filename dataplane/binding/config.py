"""What the dataplane is told, in the shape of the structs of dataplane.h, where each field is explained."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

from dataplane._dataplane import lib
from dataplane.binding.limits import RING_SIZE, SECOND

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address


class PortKind(IntEnum):
    """What is behind a port."""

    MEMORY = lib.DP_PORT_MEMORY
    XSK = lib.DP_PORT_XSK
    CAPTURE = lib.DP_PORT_CAPTURE


class PortRole(IntEnum):
    """What a port is for."""

    MIRROR = lib.DP_ROLE_MIRROR
    TEST = lib.DP_ROLE_TEST


class PortMode(IntEnum):
    """How frames pass between the device and user space."""

    AUTO = lib.DP_MODE_AUTO
    ZEROCOPY = lib.DP_MODE_ZEROCOPY
    COPY = lib.DP_MODE_COPY
    MEMORY = lib.DP_MODE_MEMORY
    CAPTURE = lib.DP_MODE_CAPTURE


class Transport(IntEnum):
    """What a transfer carries."""

    TCP = lib.DP_TCP
    UDP = lib.DP_UDP


class TransferState(IntEnum):
    """What a transfer does."""

    RUNNING = lib.DP_RUNNING
    PAUSED = lib.DP_PAUSED
    REMOVED = lib.DP_REMOVED
    STOPPED = lib.DP_STOPPED


@dataclass(frozen=True)
class Xsk:
    """What a device reached through AF_XDP has alone (``struct dp_xsk``)."""

    sockets_map: int = -1
    mode: PortMode = PortMode.AUTO
    busy_poll: bool = False
    fragments: bool = False


@dataclass(frozen=True)
class Capture:
    """Capture files as a mirror port (``struct dp_capture``); ``idle_cap`` is in nanoseconds."""

    files: tuple[str, ...] = ()
    speed: float = 1.0
    idle_cap: int = 0
    repeats: int = 1
    fast: bool = False


@dataclass(frozen=True)
class Port:
    """Where frames come from or go to (``struct dp_port``); ``xsk`` and ``capture`` are for those kinds."""

    kind: PortKind
    role: PortRole
    device: str = ""
    queues: int = 1
    ring_size: int = RING_SIZE
    shed_map: int = 0
    verify_checksums: bool = True
    mtu: int = 1500
    mac: str = "00:00:00:00:00:00"
    xsk: Xsk = Xsk()
    capture: Capture | None = None


@dataclass(frozen=True)
class Rss:
    """How the test port's NIC spreads what it receives (``struct dp_rss``)."""

    table: tuple[int, ...] = ()
    key: bytes = b""
    symmetry: int = 0
    fields: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Range:
    """Consecutive addresses of a client pool (``struct dp_range``)."""

    first: IPv4Address | IPv6Address
    count: int


@dataclass(frozen=True)
class Transfer:
    """Traffic to ``source`` is replayed to ``target`` (``struct dp_transfer``).

    ``source_ip`` None: any. ``sample`` is of 2^32, 0 means all; ``ramp`` is in nanoseconds.
    """

    source_ip: IPv4Address | IPv6Address | None
    source_port: int
    target_ip: IPv4Address | IPv6Address
    target_port: int
    target_mac: str
    transport: Transport = Transport.TCP
    multiplier: int = 1
    sample: int = 0
    ramp: int = 0
    pool: tuple[Range, ...] = ()
    instance: int = 0
    instances: int = 1
    full_sessions_only: bool = False
    no_wait: bool = False
    ack_mirrored: bool = False
    tls_replay: bool = False
    mss: int = 0
    loopback_ip: IPv4Address | IPv6Address | None = None
    sessions_per_second: int = 0
    state: TransferState = TransferState.RUNNING


@dataclass(frozen=True)
class Limits:
    """Hard bounds, decided at start (``struct dp_limits``)."""

    connections: int = 1 << 17
    sessions: int = 1 << 17
    buffer_bytes: int = 1 << 30
    backlog_bytes: int = 16 << 20
    sessions_per_second: int = 0
    packets_per_second: int = 0


@dataclass(frozen=True)
class Timing:
    """Times in nanoseconds and counts of the session simulation (``struct dp_timing``)."""

    settle: int = SECOND // 200
    response_timeout: int = 120 * SECOND
    idle_timeout: int = 3600 * SECOND
    datagram_timeout: int = 30 * SECOND
    gap_timeout: int = SECOND
    linger: int = 5 * SECOND
    tries: int = 8
    syn_tries: int = 6


@dataclass(frozen=True)
class Config:
    """All that the dataplane is told at ``open`` (``struct dp_config``).

    ``filter`` is written in the language of pcap-filter(7); empty: every mirrored frame passes.
    """

    ports: tuple[Port, ...]
    transfers: tuple[Transfer, ...]
    workers: int = 1
    cpus: tuple[int, ...] = ()
    limits: Limits = field(default_factory=Limits)
    rss: Rss = field(default_factory=Rss)
    timing: Timing = field(default_factory=Timing)
    filter: str = ""
    clock_offset: int = 0
    stats_path: str = ""
