"""The lab's settings and addresses, and the commands that build it.

Pure functions; ``lab.py`` runs the commands. From left to right::

    client ── bridge in switch ── production
                  │ mirror (tc)
              appliance ── target

There are no other links and no default route, so no packet can leave the lab.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Literal

Role = Literal["client", "switch", "production", "appliance", "target"]
Direction = Literal["both", "client"]
Address = IPv4Address | IPv6Address

ROLES: tuple[Role, ...] = ("client", "switch", "production", "appliance", "target")
MAX_CLIENTS = 4096
MAX_QUEUES = 64
STANDARD_MTU = 1500
LEAST_MTU = 1280  # of a link that carries IPv6 (RFC 8200 5)

# 198.18.0.0/15 is reserved for benchmarks (RFC 2544); production's side has the lower half.
CLIENT = IPv4Interface("198.18.0.1/16")
CLIENT6 = IPv6Interface("fd00:198:18::1/64")
MORE_CLIENTS = IPv4Address("198.18.1.0")
MORE_CLIENTS6 = IPv6Address("fd00:198:18::1:0")
PRODUCTION = IPv4Interface("198.18.0.2/16")
PRODUCTION6 = IPv6Interface("fd00:198:18::2/64")
APPLIANCE = IPv4Interface("198.19.0.1/24")
APPLIANCE6 = IPv6Interface("fd00:198:18:19::1/64")
TARGET = IPv4Interface("198.19.0.2/24")
TARGET6 = IPv6Interface("fd00:198:18:19::2/64")

# Devices: a namespace, and the name there.
DEVICES: tuple[tuple[Role, str], ...] = (
    ("client", "client0"),
    ("switch", "bridge0"),
    ("switch", "to-client"),
    ("switch", "to-production"),
    ("switch", "span0"),
    ("production", "production0"),
    ("appliance", "mirror0"),
    ("appliance", "test0"),
    ("target", "target0"),
)
MIRROR_DEVICE = "mirror0"
TEST_DEVICE = "test0"


@dataclass(frozen=True)
class Settings:
    """The lab's options."""

    prefix: str = "xdpcopy"
    queues: int = 1
    direction: Direction = "both"
    clients: int = 1
    target_mtu: int = STANDARD_MTU

    def __post_init__(self) -> None:
        """Raises ValueError for a value that cannot work."""
        if not self.prefix.replace("-", "").isalnum():
            raise ValueError(f"prefix {self.prefix!r}: letters, digits and dashes only")
        if not 1 <= self.queues <= MAX_QUEUES:
            raise ValueError(f"queues {self.queues}: 1 to {MAX_QUEUES}")
        if not 1 <= self.clients <= MAX_CLIENTS:
            raise ValueError(f"clients {self.clients}: 1 to {MAX_CLIENTS}")
        if self.direction not in {"both", "client"}:
            raise ValueError(f"direction {self.direction!r}: both or client")
        if not LEAST_MTU <= self.target_mtu <= STANDARD_MTU:
            raise ValueError(f"target_mtu {self.target_mtu}: {LEAST_MTU} to {STANDARD_MTU}")

    def namespace(self, role: Role) -> str:
        """The network namespace of a role."""
        return f"{self.prefix}-{role}"

    def client_addresses(self) -> list[Address]:
        """The client's IPv4 addresses, ``CLIENT`` first."""
        return [CLIENT.ip, *(MORE_CLIENTS + number for number in range(1, self.clients))]

    def client_addresses6(self) -> list[Address]:
        """The client's IPv6 addresses, ``CLIENT6`` first."""
        return [CLIENT6.ip, *(MORE_CLIENTS6 + number for number in range(1, self.clients))]


@dataclass(frozen=True)
class Command:
    """A program with its arguments and its standard input."""

    argv: tuple[str, ...]
    lines: tuple[str, ...] = field(default=())


def build(settings: Settings) -> list[Command]:
    """The commands that build the lab, in order."""
    return [
        _namespaces(settings),
        *(_sysctls(settings, role, _quiet(role)) for role in ROLES),
        _links(settings),
        _sysctls(settings, "appliance", {f"net.ipv6.conf.{MIRROR_DEVICE}.disable_ipv6": 1}),
        *(_ip(settings, role, lines) for role, lines in _scripts(settings).items()),
        _mirror(settings),
        *_offloads(settings),
    ]


def remove(settings: Settings, existing: set[str]) -> list[Command]:
    """The commands that remove the existing parts of the lab; any of them may fail.

    Links are deleted first, by name: a namespace keeps its devices as long as a process is in it.
    """
    gone: list[Command] = []
    for role in ROLES:
        name = settings.namespace(role)
        if name not in existing:
            continue
        gone += [
            Command(("ip", "-n", name, "link", "del", "dev", device)) for at, device in DEVICES if at == role
        ]
        gone.append(Command(("ip", "netns", "del", name)))
    return gone


def _ip(settings: Settings, role: Role, lines: list[str]) -> Command:
    return Command(("ip", "-n", settings.namespace(role), "-batch", "-"), tuple(lines))


def _namespaces(settings: Settings) -> Command:
    return Command(("ip", "-batch", "-"), tuple(f"netns add {settings.namespace(role)}" for role in ROLES))


def _sysctls(settings: Settings, role: Role, values: dict[str, int | str]) -> Command:
    pairs = tuple(f"{name}={value}" for name, value in values.items())
    return Command(("ip", "netns", "exec", settings.namespace(role), "sysctl", "-qw", *pairs))


def _quiet(role: Role) -> dict[str, int | str]:
    """Sysctls against forwarding and chatter, set before any device so that ``default`` applies to all."""
    values: dict[str, int | str] = {
        "net.ipv4.ip_forward": 0,
        "net.ipv4.conf.all.rp_filter": 0,
        "net.ipv4.conf.default.rp_filter": 0,
        "net.ipv6.conf.all.forwarding": 0,
        "net.ipv6.conf.default.accept_dad": 0,
        "net.ipv6.conf.default.accept_ra": 0,
        "net.ipv6.conf.default.router_solicitations": 0,
        "net.ipv6.conf.default.disable_ipv6": int(role == "switch"),
    }
    if role == "client":
        values["net.ipv4.ip_local_port_range"] = "10000 65000"
    if role in {"production", "target"}:
        values["net.ipv4.ip_unprivileged_port_start"] = 0  # nginx needs no root for port 80
    return values


def _links(settings: Settings) -> Command:
    def veth(near: Role, name: str, far: Role, peer: str, queues: int = 1) -> str:
        many = f"numrxqueues {queues} numtxqueues {queues}"
        return (
            f"link add name {name} {many} netns {settings.namespace(near)} type veth "
            f"peer name {peer} {many} netns {settings.namespace(far)}"
        )

    lines = (
        veth("client", "client0", "switch", "to-client"),
        veth("production", "production0", "switch", "to-production"),
        veth("appliance", "mirror0", "switch", "span0", settings.queues),
        veth("appliance", "test0", "target", "target0", settings.queues),
    )
    return Command(("ip", "-batch", "-"), lines)


def _up(device: str, *addresses: str) -> list[str]:
    return [
        *(f"address add {address} dev {device}" for address in addresses),
        "link set lo up",
        f"link set {device} up",
    ]


def _clients(settings: Settings) -> list[str]:
    both = (
        (settings.client_addresses(), CLIENT.network.prefixlen),
        (settings.client_addresses6(), CLIENT6.network.prefixlen),
    )
    return [f"{address}/{length}" for addresses, length in both for address in addresses]


def _scripts(settings: Settings) -> dict[Role, list[str]]:
    """The lines for ``ip -batch``, by namespace."""
    return {
        "client": _up("client0", *_clients(settings)),
        "production": _up("production0", str(PRODUCTION), str(PRODUCTION6)),
        "switch": [
            "link add name bridge0 type bridge mcast_snooping 0",
            *(f"link set {port} master bridge0" for port in ("to-client", "to-production")),
            *(f"link set {port} up" for port in ("bridge0", "to-client", "to-production", "span0")),
        ],
        # The mirror port has no address and never sends.
        "appliance": [
            "link set mirror0 addrgenmode none",
            "link set mirror0 arp off multicast off up",
            *_up("test0", str(APPLIANCE), str(APPLIANCE6)),
        ],
        # Answers to the forged clients come back to the appliance, and end there.
        "target": [
            f"link set target0 mtu {settings.target_mtu}",
            *_up("target0", str(TARGET), str(TARGET6)),
            f"route add {CLIENT.network} via {APPLIANCE.ip}",
            f"route add {CLIENT6.network} via {APPLIANCE6.ip}",
        ],
    }


def _mirror(settings: Settings) -> Command:
    """Mirrors the switch's port to production: it sends the client's frames and receives production's.

    The span port's queue is longer than any burst, so a full ring of its peer delays copies instead of
    losing them.
    """
    hooks = ("egress",) if settings.direction == "client" else ("egress", "ingress")
    copy = "protocol all u32 match u32 0 0 action mirred egress mirror dev span0"
    lines = (
        "qdisc add dev span0 root pfifo limit 100000",
        "qdisc add dev to-production clsact",
        *(f"filter add dev to-production {hook} {copy}" for hook in hooks),
    )
    return Command(("tc", "-n", settings.namespace("switch"), "-batch", "-"), lines)


def _offloads(settings: Settings) -> list[Command]:
    """As on a real wire: real checksums, and no frame above the MTU, wherever the appliance might see it."""
    plain = ("tx", "off", "tso", "off", "gso", "off", "gro", "off")
    cut = ("tso", "off", "gso", "off", "gro", "off")
    chosen: tuple[tuple[Role, str, tuple[str, ...]], ...] = (
        ("switch", "span0", plain),
        ("target", "target0", plain),
        ("appliance", "test0", plain),
        ("appliance", "mirror0", plain),
        ("client", "client0", cut),
        ("production", "production0", cut),
    )
    return [
        Command(("ip", "netns", "exec", settings.namespace(role), "ethtool", "-K", device, *features))
        for role, device, features in chosen
    ]
