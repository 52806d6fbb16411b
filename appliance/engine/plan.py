"""From the configuration and the facts about this machine to what the dataplane is told. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any

from appliance.engine import afxdp, placement
from appliance.engine.capture import CapturePlan
from appliance.engine.forecast import forecast
from appliance.errors import ConfigError
from appliance.settings.transfer import Ack, Protocol, Tls
from dataplane import binding
from dataplane.binding import PortRole, TransferState, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.engine.afxdp import AfXdpPlan
    from appliance.engine.nic import Hop
    from appliance.settings.config import Config
    from appliance.settings.model import Model
    from appliance.settings.transfer import Transfer
    from dataplane.binding import Capture
    from dataplane.pyxdp import Capabilities
    from dataplane.pyxdp.rss import Rss

NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000}
SAMPLES = 1 << 32
NO_MAC = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before anything is changed."""

    config: Config
    mirrors: tuple[AfXdpPlan | CapturePlan, ...]
    test: AfXdpPlan
    workers: int
    cpus: tuple[int, ...]
    control_cpus: tuple[int, ...]
    warnings: tuple[str, ...]

    @property
    def ports(self) -> tuple[AfXdpPlan | CapturePlan, ...]:
        """All of them, the test port last."""
        return (*self.mirrors, self.test)

    @property
    def rss(self) -> Rss | None:
        """How answers are spread over the test port's queues; None: unknown or irrelevant."""
        known = self.test.rss
        wanted = self.workers > 1 and known is not None and max(known.table) < self.test.queues
        return known if wanted else None


def devices(config: Config, captures: Capture | None = None) -> tuple[str, ...]:
    """The devices that are needed. Captures take the place of all mirror devices."""
    mirrors = () if captures else config.mirror
    return (*(port.device for port in mirrors), config.test.device)


def make(
    config: Config,
    facts: Mapping[str, Capabilities],
    available: Sequence[int],
    captures: Capture | None = None,
) -> Plan:
    """``facts`` describe ``devices``; ``available`` are the CPUs of this process.

    Raises DeviceError or ConfigError.
    """
    test = afxdp.plan(PortRole.TEST, config.test, facts[config.test.device])
    live = () if captures else config.mirror
    mirrors = tuple(afxdp.plan(PortRole.MIRROR, port, facts[port.device]) for port in live)
    workers = _workers(config, test, available)
    near = test.near_cpus
    cpus = placement.workers(config, workers, available, near)
    distant = [port.device for port in mirrors if near and port.near_cpus != near]
    warnings = [warning for port in (*mirrors, test) for warning in port.warnings]
    warnings += placement.warnings(config.test.device, cpus, near, distant)
    warnings += [each.warning for each in forecast(config) if each.warning]
    return Plan(
        config=config,
        mirrors=(CapturePlan(captures),) if captures else mirrors,
        test=test,
        workers=workers,
        cpus=cpus,
        control_cpus=placement.control(cpus, available),
        warnings=tuple(warnings),
    )


def dataplane(plan: Plan, ports: Sequence[binding.Port], clock_offset: int) -> binding.Config:
    """What the dataplane is told at the start: all but transfers."""
    config = plan.config
    return binding.Config(
        ports=tuple(ports),
        transfers=(),
        workers=plan.workers,
        cpus=plan.cpus,
        limits=binding.Limits(**alike(config.limits, binding.Limits)),
        rss=_rss(plan.rss),
        timing=binding.Timing(**alike(config.timing, binding.Timing)),
        filter=config.filter,
        clock_offset=clock_offset,
        stats_path=str(config.stats),
    )


def _workers(config: Config, test: AfXdpPlan, available: Sequence[int]) -> int:
    if config.workers == "auto":
        named = len(config.cpus) if isinstance(config.cpus, tuple) else len(available)
        return max(1, min(test.queues, named))
    if config.workers > test.queues:
        raise ConfigError(
            f"workers: {config.workers} workers for {test.queues} queues of {test.device}; each"
            f" sends on a queue of its own, so give at most {test.queues}"
        )
    return config.workers


def binding_transfer(
    config: Config, transfer: Transfer, hop: Hop | None, state: TransferState = TransferState.RUNNING
) -> binding.Transfer:
    """What the dataplane is told of one transfer. It is paused while its next hop is not known."""
    waits = hop is None and state is TransferState.RUNNING
    whole = transfer.sample_percent == 100  # noqa: PLR2004 - per cent
    return binding.Transfer(
        source_ip=transfer.source.address,
        source_port=transfer.source.port,
        target_ip=transfer.target.address,
        target_port=transfer.target.port,
        target_mac=hop.mac if hop else NO_MAC,
        transport=_transport(transfer),
        sample=0 if whole else round(SAMPLES * transfer.sample_percent / 100),
        pool=tuple(binding.Range(one.first, one.count) for one in config.pool(transfer)),
        ack_mirrored=transfer.ack is Ack.MIRRORED,
        tls_replay=transfer.tls is Tls.REPLAY,
        loopback_ip=transfer.loopback_clients,
        state=TransferState.PAUSED if waits else state,
        **alike(transfer, binding.Transfer),
    )


def _rss(rss: Rss | None) -> binding.Rss:
    return binding.Rss(rss.table, rss.key, rss.symmetry, rss.fields) if rss else binding.Rss()


def _transport(transfer: Transfer) -> Transport:
    return Transport.UDP if transfer.protocol is Protocol.UDP else Transport.TCP


def alike(settings: Model, told: type[Any]) -> dict[str, Any]:
    """The settings that the dataplane knows by the same name; what ends in _s or _ms, without that, in ns.

    A member of an enum becomes the member of that name.
    """
    known: dict[str, Any] = {each.name: each.default for each in fields(told)}
    found: dict[str, Any] = {}
    for name, value in dict(settings).items():
        plain, _, unit = name.rpartition("_")
        if name in known and value is not None:
            found[name] = type(known[name])[value.name] if isinstance(value, Enum) else value
        elif plain in known and unit in NANOSECONDS:
            found[plain] = round(value * NANOSECONDS[unit])
    return found
