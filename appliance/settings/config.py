"""The configuration: what is mirrored, where it is replayed to, and within which bounds.

Every field's description says what it means, and its name carries the unit. ``loading`` reads files;
``reference`` writes docs/configuration.md from these models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field
from pydantic import model_validator as model_check

from appliance.settings.api import Api  # noqa: TC001 - pydantic reads the annotations at run time
from appliance.settings.captures import Captures
from appliance.settings.control import Control
from appliance.settings.limits import Limits
from appliance.settings.model import AbsolutePath, Model
from appliance.settings.pool import ClientRange  # noqa: TC001 - as above
from appliance.settings.ports import Auto, MirrorPort, TargetPort  # noqa: TC001 - as above
from appliance.settings.safety import Safety
from appliance.settings.timing import Timing
from appliance.settings.transfer import Transfer  # noqa: TC001 - as above
from dataplane.binding import (
    MAX_PORTS,
    MAX_RANGES,
    MAX_TRANSFERS,
    MAX_WORKERS,
    DataplaneError,
    check_filter,
)

DEFAULT_STATS = Path("/run/xdpcopy/stats")


def _filter(value: str) -> str:
    try:
        check_filter(value)
    except DataplaneError as error:
        raise ValueError(f"'{value}': {error.strerror}; see pcap-filter(7)") from None
    return value


class Config(Model):
    """All settings of one appliance."""

    mirror: Annotated[tuple[MirrorPort, ...], Field(min_length=1, max_length=MAX_PORTS - 1)] = Field(
        description="The mirror ports."
    )
    test: TargetPort = Field(description="The test port, facing the targets.")
    transfers: Annotated[tuple[Transfer, ...], Field(max_length=MAX_TRANSFERS)] = Field(
        default=(),
        description="What is replayed where. A connection belongs to the transfer whose source is its"
        " server's address and port, else to the one whose source is the port alone.",
    )
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Auto = Field(
        default="auto",
        description="Worker threads; auto: one per queue of the test port, at most one per CPU.",
    )
    cpus: tuple[Annotated[int, Field(ge=0)], ...] | Literal["auto", "none"] = Field(
        default="auto",
        description="CPU of each worker; auto: the last ones, on the test port's NUMA node if it has one;"
        " none: workers are not pinned. The control process uses the remaining CPUs, if any.",
    )
    filter: Annotated[str, AfterValidator(_filter)] = Field(
        default="",
        max_length=8192,
        description="Filter for mirrored frames, in the syntax of pcap-filter(7); empty: all frames"
        " (tcpcopy's -F).",
    )
    limits: Limits = Field(default=Limits(), description="Hard bounds on memory and rates.")
    timing: Timing = Field(default=Timing(), description="Timeouts and retries of the replayed sessions.")
    safety: Safety = Field(default=Safety(), description="What must never receive replayed traffic.")
    control: Control = Field(default=Control(), description="The control socket of xdpcopy engine.")
    captures: Captures = Field(default=Captures(), description="Capture files for offline replay over REST.")
    api: Api | None = Field(
        default=None, description="The api process; left out: xdpcopy run starts only the replay."
    )
    stats: AbsolutePath = Field(
        default=DEFAULT_STATS,
        description="File of the counters, which other processes read while the engine runs.",
    )
    ledger: AbsolutePath | None = Field(
        default=None, description="File for the ledger, written as JSON when the engine stops."
    )

    @model_check(mode="after")
    def _check(self) -> Self:
        _check_devices([*(port.device for port in self.mirror), self.test.device])
        _check_transfers(self.transfers)
        _check_clients(self)
        self.safety.check(self.transfers)
        if isinstance(self.workers, int) and isinstance(self.cpus, tuple) and len(self.cpus) < self.workers:
            raise ValueError(f"cpus: {len(self.cpus)} CPUs for {self.workers} workers; name one for each")
        return self

    def pool(self, transfer: Transfer) -> tuple[ClientRange, ...]:
        """A transfer's forged clients, without the servers that the configuration names."""
        ends = [end for one in self.transfers for end in (one.source.address, one.target.address)]
        return transfer.pool(address for address in ends if address is not None)


def _check_clients(config: Config) -> None:
    ranges = 0
    for index, transfer in enumerate(config.transfers):
        pool = config.pool(transfer)
        if transfer.clients and not pool:
            raise ValueError(
                f"transfers[{index}].clients: all of them are targets or mirrored servers; give addresses"
                " that no host uses"
            )
        ranges += len(pool)
    if ranges > MAX_RANGES:
        raise ValueError(
            f"transfers: their clients make {ranges} ranges, more than {MAX_RANGES}; write networks"
            " instead of single addresses"
        )


def _check_devices(devices: list[str]) -> None:
    for device in devices:
        if devices.count(device) > 1:
            raise ValueError(f"mirror, test: '{device}' is named twice; each port needs a device of its own")


def _check_transfers(transfers: tuple[Transfer, ...]) -> None:
    """Source and target are of one IP version, and no two transfers share a source."""
    seen: dict[tuple[object, ...], int] = {}
    for index, transfer in enumerate(transfers):
        source, family = transfer.source, transfer.target.address.version
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
