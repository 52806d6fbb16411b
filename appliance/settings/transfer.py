"""One transfer of the configuration: what is replayed to which target, how often and as whom."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic import model_validator as model_check

from appliance.settings.endpoint import Address, Endpoint, parse_source, parse_target
from appliance.settings.pool import ClientRange, merged, parse_clients, without

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_MULTIPLIER = 1023  # as tcpcopy has it
MAX_INSTANCES = 1024
MAX_MSS = 65535
MAX_U32 = (1 << 32) - 1
MAX_RAMP_S = 1_000_000.0


class Model(BaseModel):
    """Settings do not change once they are read, and a misspelt one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=False)


class Ack(StrEnum):
    """When the target's answers are acknowledged."""

    PROMPT = "prompt"
    MIRRORED = "mirrored"


class Protocol(StrEnum):
    """What carries a transfer's traffic."""

    TCP = "tcp"
    UDP = "udp"


class Tls(StrEnum):
    """What becomes of connections that speak TLS."""

    REFUSE = "refuse"
    REPLAY = "replay"


def _endpoint(parse: Any) -> BeforeValidator:  # noqa: ANN401 - either parser
    def read(value: object) -> object:
        plain = isinstance(value, str | int) and not isinstance(value, bool)
        return value if isinstance(value, Endpoint) else parse(str(value) if plain else repr(value))

    return BeforeValidator(read, json_schema_input_type=str)


def _clients(value: object) -> object:
    """One text, or a list of texts; each may have commas."""
    items = value if isinstance(value, list | tuple) else [value]
    ranges: list[ClientRange] = []
    for item in items:
        ranges += [item] if isinstance(item, ClientRange) else parse_clients(str(item))
    return merged(ranges)


Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Source = Annotated[Endpoint, _endpoint(parse_source), PlainSerializer(str)]
Target = Annotated[Endpoint, _endpoint(parse_target), PlainSerializer(str)]
Clients = Annotated[
    tuple[Annotated[ClientRange, PlainSerializer(str)], ...],
    BeforeValidator(_clients, json_schema_input_type=list[str]),
]


class Transfer(Model):
    """Traffic to ``source`` is replayed to ``target``."""

    name: str = Field(
        default="", description="A name for reports; empty: source-target, as in -x.", max_length=64
    )
    source: Source = Field(
        description="The production server that is mirrored: address:port, or port alone for any address."
    )
    target: Target = Field(description="The server under test: address:port.")
    protocol: Protocol = Field(
        default=Protocol.TCP,
        description="tcp: sessions are replayed; udp: each datagram is sent as it came, answers are counted.",
    )
    clients: Clients = Field(
        default=(),
        description="Addresses of the forged clients: single ones, 198.18.0.x (1 to 254), 198.18.0.0/24"
        " (without the network's own and the broadcast address) and 198.18.0.1-198.18.0.9, IPv4 or IPv6 as"
        " the target. Targets and mirrored servers among them are left out. Empty: the mirrored client's own"
        " (tcpcopy's -c).",
    )
    loopback_clients: Address | None = Field(
        default=None,
        description="Without a pool: the address that stands for clients with a loopback address, as a"
        " capture on a server's own lo shows them; no target would answer those (tcpcopy's -H).",
    )
    multiplier: int = Field(
        default=1,
        ge=1,
        le=MAX_MULTIPLIER,
        description="Sessions for each mirrored connection, each with an endpoint of its own (tcpcopy's -n).",
    )
    sample_percent: float = Field(
        default=100.0,
        ge=0.01,
        le=100,
        description="Percentage of the connections that is replayed, chosen by a hash of the client's"
        " endpoint: always the same ones (tcpcopy's -r).",
    )
    ramp_s: float = Field(
        default=0.0,
        ge=0,
        le=MAX_RAMP_S,
        description="The percentage grows from nothing over so long; 0: at once (tcpcopy's -g).",
    )
    instance: int = Field(
        default=0,
        ge=0,
        lt=MAX_INSTANCES,
        description="Which of several engines towards one target this is, from 0; their forged ports are"
        " disjoint (tcpcopy's -f).",
    )
    instances: int = Field(default=1, ge=1, le=MAX_INSTANCES, description="How many such engines there are.")
    full_sessions_only: bool = Field(
        default=False, description="Ignore connections whose first SYN was not mirrored (tcpcopy's -O)."
    )
    no_wait: bool = Field(
        default=False,
        description="A request does not wait for the answer to the one before (tcpcopy's -W).",
    )
    ack: Ack = Field(
        default=Ack.PROMPT,
        description="When answers are acknowledged. prompt: at once; mirrored: when, and with the window"
        " that, the production client did, so that the target feels the real clients' network.",
    )
    tls: Tls = Field(
        default=Tls.REFUSE,
        description="Connections that speak TLS: refuse them, as their bytes are bound to production's keys,"
        " or replay them all the same.",
    )
    mss: int | None = Field(
        default=None,
        ge=88,
        le=MAX_MSS,
        description="Most that a SYN announces as maximum segment size; left out: what the mirrored client"
        " announced and the test port carries (tcpcopy's -D).",
    )

    sessions_per_second: int = Field(
        default=0,
        ge=0,
        le=MAX_U32,
        description="New sessions of this transfer, all workers together; 0: no cap but that of limits.",
    )

    @property
    def label(self) -> str:
        """The name, or what stands for it."""
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
            if address is not None and found is not None and found.version != address.version:
                raise ValueError(
                    f"{what}: {found} and the target {address} are of different IP versions; give"
                    f" IPv{address.version} addresses"
                )
        return self

    def pool(self, servers: Iterable[Address]) -> tuple[ClientRange, ...]:
        """The clients without the servers: nobody's answers may go to two hosts."""
        left = self.clients
        for server in servers:
            left = without(left, server)
        return left
