"""One transfer of the configuration: what is replayed to which target, how often and as whom."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic import model_validator as model_check

from appliance.settings.endpoint import Address, Source, Target, parse_source, parse_target
from appliance.settings.model import MAX_SECONDS, MAX_U32, Model
from appliance.settings.pool import ClientRange, merged, parse_clients, without

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MULTIPLIER = 1023  # as in tcpcopy
MAX_INSTANCES = 1024
MAX_MSS = 65535


class Ack(StrEnum):
    """When the target's answers are acknowledged."""

    PROMPT = "prompt"
    MIRRORED = "mirrored"


class Protocol(StrEnum):
    """The transport of a transfer's traffic."""

    TCP = "tcp"
    UDP = "udp"


class Tls(StrEnum):
    """What to do with connections that speak TLS."""

    REFUSE = "refuse"
    REPLAY = "replay"


def _written(kind: type, parse: Any) -> BeforeValidator:  # noqa: ANN401 - either parser
    """In files and in JSON an endpoint is a text; a port alone may be a number."""

    def read(value: object) -> object:
        plain = isinstance(value, str | int) and not isinstance(value, bool)
        return value if isinstance(value, kind) else parse(str(value) if plain else repr(value))

    return BeforeValidator(read, json_schema_input_type=str)


def _clients(value: object) -> object:
    """One text, or a list of texts; each may have commas."""
    items = value if isinstance(value, list | tuple) else [value]
    ranges: list[ClientRange] = []
    for item in items:
        ranges += [item] if isinstance(item, ClientRange) else parse_clients(str(item))
    return merged(ranges)


Clients = Annotated[
    tuple[Annotated[ClientRange, PlainSerializer(str)], ...],
    BeforeValidator(_clients, json_schema_input_type=list[str]),
]


class Transfer(Model):
    """Traffic to ``source`` is replayed to ``target``."""

    name: str = Field(
        default="", description="Name in reports; empty: source-target, as in -x.", max_length=64
    )
    source: Annotated[Source, _written(Source, parse_source), PlainSerializer(str)] = Field(
        description="The mirrored production server: address:port, or a port alone for any address."
    )
    target: Annotated[Target, _written(Target, parse_target), PlainSerializer(str)] = Field(
        description="The server under test: address:port."
    )
    protocol: Protocol = Field(
        default=Protocol.TCP,
        description="tcp: replay sessions; udp: send each datagram as it came, and count the answers.",
    )
    clients: Clients = Field(
        default=(),
        description="Addresses of the forged clients: single ones, 198.18.0.x (1 to 254), 198.18.0.0/24"
        " (without network and broadcast address) or 198.18.0.1-198.18.0.9, of the target's IP version."
        " Targets and mirrored servers among them are left out. Empty: the mirrored clients' own addresses"
        " (tcpcopy's -c).",
    )
    loopback_clients: Address | None = Field(
        default=None,
        description="Without clients: the address used in place of loopback clients, which a capture on a"
        " server's own lo contains and no target would answer (tcpcopy's -H).",
    )
    multiplier: int = Field(
        default=1,
        ge=1,
        le=MAX_MULTIPLIER,
        description="Sessions per mirrored connection, each with its own endpoint (tcpcopy's -n).",
    )
    sample_percent: float = Field(
        default=100.0,
        ge=0.01,
        le=100,
        description="Percentage of connections to replay, chosen by a hash of the client's endpoint: always"
        " the same ones (tcpcopy's -r).",
    )
    ramp_s: float = Field(
        default=0.0,
        ge=0,
        le=MAX_SECONDS,
        description="Time over which the percentage grows from zero; 0: at once (tcpcopy's -g).",
    )
    instance: int = Field(
        default=0,
        ge=0,
        lt=MAX_INSTANCES,
        description="Number of this engine, from 0, where several share a target; their forged ports are"
        " disjoint (tcpcopy's -f).",
    )
    instances: int = Field(
        default=1, ge=1, le=MAX_INSTANCES, description="How many engines share the target."
    )
    full_sessions_only: bool = Field(
        default=False, description="Ignore connections whose SYN was not mirrored (tcpcopy's -O)."
    )
    no_wait: bool = Field(
        default=False,
        description="Send requests without waiting for the answer to the previous one (tcpcopy's -W).",
    )
    ack: Ack = Field(
        default=Ack.PROMPT,
        description="When answers are acknowledged. prompt: at once; mirrored: when the production client"
        " did, with its window, so that the target feels the real clients' network.",
    )
    tls: Tls = Field(
        default=Tls.REFUSE,
        description="Connections that speak TLS: refuse them, because their bytes are bound to production's"
        " keys, or replay them anyway.",
    )
    mss: int | None = Field(
        default=None,
        ge=88,
        le=MAX_MSS,
        description="Largest MSS that a SYN announces; left out: what the mirrored client announced, as far"
        " as the test port carries it (tcpcopy's -D).",
    )
    sessions_per_second: int = Field(
        default=0,
        ge=0,
        le=MAX_U32,
        description="New sessions of this transfer a second, over all workers; 0: only the cap in limits.",
    )

    @property
    def label(self) -> str:
        """The name, or source-target."""
        return self.name or f"{self.source}-{self.target}"

    @model_check(mode="after")
    def _check(self) -> Self:
        if self.instance >= self.instances:
            raise ValueError(
                f"instance: {self.instance} of {self.instances}; instances are counted from 0, so give"
                f" at most {self.instances - 1}, or raise instances"
            )
        address = self.target.address
        for what, found in (
            *(("clients", one.first) for one in self.clients),
            ("loopback_clients", self.loopback_clients),
        ):
            if found is not None and found.version != address.version:
                raise ValueError(
                    f"{what}: {found} and the target {address} are of different IP versions; give"
                    f" IPv{address.version} addresses"
                )
        return self

    def pool(self, servers: Iterable[Address]) -> tuple[ClientRange, ...]:
        """The clients without the servers: an address must not belong to two hosts."""
        left = self.clients
        for server in servers:
            left = without(left, server)
        return left
