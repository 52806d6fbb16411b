"""The configuration: what is mirrored, where it is replayed to, and within which bounds.

Models only: every field says in its description what it means, and its name carries the unit. Files are read
by ``loading``; docs/configuration.md is written from these models by ``reference``.
"""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from pydantic import model_validator as model_check

from appliance.settings.api import Api  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.settings.paths import AbsolutePath, Captures, Control
from appliance.settings.pool import ClientRange  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.settings.safety import check_targets
from appliance.settings.transfer import Model, Transfer
from dataplane.binding import DataplaneError, check_filter

MAX_MIRROR_PORTS = 7
MAX_TRANSFERS = 64
MAX_RANGES = 1024
MAX_WORKERS = 64
MAX_U32 = (1 << 32) - 1
MAX_SECONDS = 1_000_000.0
DEFAULT_STATS = Path("/run/xdpcopy/stats")


class Mode(StrEnum):
    """How frames pass between a device and the appliance."""

    AUTO = "auto"
    ZEROCOPY = "zerocopy"
    COPY = "copy"
    GENERIC = "generic"


class Unwanted(StrEnum):
    """What becomes of mirrored frames that no transfer names."""

    DROP = "drop"
    PASS = "pass"  # noqa: S105 - no password


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError(f"{value} is not a power of two; give {1 << value.bit_length()}")
    return value


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"{error}; write a network like 198.19.0.0/24 or fd00:198:18::/64") from None


def _filter(value: str) -> str:
    try:
        check_filter(value)
    except DataplaneError as error:
        raise ValueError(f"'{value}': {error.strerror}; pcap-filter(7) has the language") from None
    return value


Device = Annotated[str, Field(min_length=1, max_length=15, pattern=r"^[^\s/:]+$")]
Network = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_network, json_schema_input_type=str), PlainSerializer(str)
]
Auto = Literal["auto"]


class Port(Model):
    """A network device of the appliance."""

    device: Device = Field(description="Name of the network device.")
    queues: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Auto = Field(
        default="auto",
        description="How many of the device's receive queues are served; auto: all that it has.",
    )
    mode: Mode = Field(
        default=Mode.AUTO,
        description="How frames reach user space. auto: the best that the device has; zerocopy, copy: that or"
        " refuse to start; generic: copy without the driver's help, for devices whose driver knows no XDP.",
    )
    ring_size: Annotated[int, Field(ge=64, le=32768), AfterValidator(_power_of_two)] = Field(
        default=4096, description="Descriptors of each ring of each queue, a power of two."
    )
    busy_poll: bool = Field(
        default=False,
        description="Workers drive the driver's polling; its interrupts are put off meanwhile.",
    )
    verify_checksums: bool = Field(
        default=True, description="Drop and count frames whose IP or TCP checksum is wrong."
    )


class MirrorPort(Port):
    """A device that receives copies of production's frames. Nothing is ever sent on it."""

    unwanted: Unwanted = Field(
        default=Unwanted.DROP,
        description="What becomes of frames that no transfer names: drop them, or pass them to the kernel.",
    )


class TargetPort(Port):
    """The device towards the targets. Their answers come back to it, and end in the appliance."""

    mtu: Annotated[int, Field(ge=576, le=9216)] | Auto = Field(
        default="auto",
        description="Largest packet that is sent; auto: the device's own MTU, which is the most anyway"
        " (tcpcopy's -M).",
    )


class Limits(Model):
    """Hard bounds on memory, decided at start. At a bound new connections are refused and counted."""

    connections: int = Field(
        default=1 << 17,
        ge=1,
        le=MAX_U32,
        description="Mirrored connections held at once, all workers together.",
    )
    sessions: int = Field(
        default=1 << 17, ge=1, le=MAX_U32, description="Sessions held at once, all workers together."
    )
    buffer_bytes: int = Field(
        default=1 << 30, ge=1 << 20, description="Request bytes held at once, all workers together."
    )
    backlog_bytes: int = Field(
        default=16 << 20, ge=1 << 16, le=MAX_U32, description="Request bytes that one connection may hold."
    )
    sessions_per_second: int = Field(
        default=0, ge=0, le=MAX_U32, description="New sessions, all workers together; 0: no cap."
    )
    packets_per_second: int = Field(
        default=0,
        ge=0,
        le=MAX_U32,
        description="Packets to targets, all workers together; what is beyond waits. 0: no cap.",
    )


class Timing(Model):
    """Times and counts of the session simulation."""

    settle_ms: float = Field(
        default=5.0,
        gt=0,
        le=MAX_SECONDS,
        description="Silence after which an answer shorter than production's counts as complete.",
    )
    response_timeout_s: float = Field(
        default=120.0,
        gt=0,
        le=MAX_SECONDS,
        description="A request without an answer for so long ends the session (tcpcopy's -t).",
    )
    idle_timeout_s: float = Field(
        default=3600.0,
        gt=0,
        le=MAX_SECONDS,
        description="A mirrored connection without frames for so long is forgotten.",
    )
    datagram_timeout_s: float = Field(
        default=30.0,
        gt=0,
        le=MAX_SECONDS,
        description="UDP: a client that is silent for so long has ended its conversation.",
    )
    gap_timeout_s: float = Field(
        default=1.0,
        gt=0,
        le=MAX_SECONDS,
        description="Mirrored bytes that are missing for so long end the session.",
    )
    linger_s: float = Field(
        default=5.0,
        ge=0,
        le=MAX_SECONDS,
        description="How long an ended connection is remembered, for late copies of its frames.",
    )
    tries: int = Field(
        default=8, ge=1, le=100, description="Transmissions of one segment without any answer."
    )
    syn_tries: int = Field(default=6, ge=1, le=100, description="Transmissions of a SYN.")


class Safety(Model):
    """What must never receive replayed traffic."""

    allowed_targets: tuple[Network, ...] | None = Field(
        default=None,
        description="Networks that targets must lie in. Left out: exactly the targets of the transfers in"
        " this file. A transfer that is added or changed later cannot leave them.",
    )
    production_networks: tuple[Network, ...] = Field(
        default=(), description="Networks in which no target may lie, whatever allowed_targets says."
    )


class Config(Model):
    """All settings of one appliance."""

    mirror: Annotated[tuple[MirrorPort, ...], Field(min_length=1, max_length=MAX_MIRROR_PORTS)] = Field(
        description="The mirror ports."
    )
    test: TargetPort = Field(description="The test port: towards the targets.")
    transfers: Annotated[tuple[Transfer, ...], Field(max_length=MAX_TRANSFERS)] = Field(
        default=(),
        description="What is replayed where. A connection belongs to the transfer that names its server's"
        " address, else to the one that names its port alone.",
    )
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Auto = Field(
        default="auto",
        description="Worker threads; auto: one for each queue of the test port, at most one a CPU.",
    )
    cpus: tuple[Annotated[int, Field(ge=0)], ...] | Literal["auto", "none"] = Field(
        default="auto",
        description="CPU of each worker; auto: the last ones, of the test port's NUMA node if it has one;"
        " none: workers are not pinned. The control process keeps to the others, if there are any.",
    )
    filter: Annotated[str, AfterValidator(_filter)] = Field(
        default="",
        max_length=8192,
        description="Only mirrored frames that this filter of pcap-filter(7) lets pass are looked at;"
        " empty: all (tcpcopy's -F).",
    )
    limits: Limits = Field(default=Limits(), description="Hard bounds on memory.")
    timing: Timing = Field(default=Timing(), description="Times and counts of the session simulation.")
    safety: Safety = Field(default=Safety(), description="What must never receive replayed traffic.")
    control: Control = Field(default=Control(), description="The control socket of xdpcopy engine.")
    captures: Captures = Field(default=Captures(), description="Capture files for offline replay over REST.")
    api: Api | None = Field(
        default=None, description="The api process; left out: xdpcopy run starts the replay alone."
    )
    stats: AbsolutePath = Field(
        default=DEFAULT_STATS,
        description="File of the counters that other processes read while the engine runs.",
    )
    ledger: AbsolutePath | None = Field(
        default=None, description="File for the account that is written as JSON when the engine stops."
    )

    @model_check(mode="after")
    def _check(self) -> Self:
        _check_devices([*(port.device for port in self.mirror), self.test.device])
        _check_transfers(self.transfers)
        _check_clients(self)
        sources = [transfer.source for transfer in self.transfers]
        targets = [transfer.target for transfer in self.transfers]
        check_targets(targets, sources, self.safety.allowed_targets, self.safety.production_networks)
        if isinstance(self.workers, int) and isinstance(self.cpus, tuple) and len(self.cpus) < self.workers:
            raise ValueError(f"cpus: {len(self.cpus)} CPUs for {self.workers} workers; name one for each")
        return self

    def pool(self, transfer: Transfer) -> tuple[ClientRange, ...]:
        """The forged clients' addresses of a transfer, without the servers that the configuration names."""
        ends = [end for one in self.transfers for end in (one.source.address, one.target.address)]
        return transfer.pool(address for address in ends if address is not None)


def _check_clients(config: Config) -> None:
    ranges = 0
    for index, transfer in enumerate(config.transfers):
        pool = config.pool(transfer)
        if transfer.clients and not pool:
            raise ValueError(
                f"transfers[{index}].clients: all of them are targets or mirrored servers; give addresses"
                " that no host has"
            )
        ranges += len(pool)
    if ranges > MAX_RANGES:
        raise ValueError(
            f"transfers: their clients make {ranges} ranges; {MAX_RANGES} are the most,"
            " so join them to networks"
        )


def _check_devices(devices: list[str]) -> None:
    for device in devices:
        if devices.count(device) > 1:
            raise ValueError(f"mirror, test: '{device}' is named twice; each port needs a device of its own")


def _check_transfers(transfers: tuple[Transfer, ...]) -> None:
    """No two transfers of one source."""
    seen: dict[tuple[object, ...], int] = {}
    for index, transfer in enumerate(transfers):
        source, family = transfer.source, transfer.target.address.version if transfer.target.address else 0
        if source.address is not None and source.address.version != family:
            raise ValueError(
                f"transfers[{index}]: '{source}' and '{transfer.target}' are of different IP versions;"
                " a forged client keeps its address, so give a target of the source's version"
            )
        first = seen.setdefault((source.address or family, source.port, transfer.protocol), index)
        if first != index:
            raise ValueError(
                f"transfers[{index}].source: '{source}' is the source of transfers[{first}] already, which"
                " would take all its traffic; remove one of them"
            )
