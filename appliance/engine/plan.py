"""From the configuration and the facts about this machine to what the dataplane is told. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.engine import afxdp, placement
from appliance.engine.capture import CapturePlan
from appliance.engine.forecast import forecast
from appliance.errors import ConfigError
from appliance.settings.transfer import Ack, Protocol, Tls
from dataplane import binding
from dataplane.binding import PortRole, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.engine.afxdp import AfXdpPlan
    from appliance.settings.config import Config
    from appliance.settings.endpoint import Address
    from appliance.settings.timing import Timing
    from appliance.settings.transfer import Transfer
    from dataplane.binding import Capture
    from dataplane.pyxdp import Capabilities
    from dataplane.pyxdp.rss import Rss

NANOSECONDS_PER_S = 1_000_000_000
NANOSECONDS_PER_MS = 1_000_000
SAMPLES = 1 << 32


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
        limits=binding.Limits(**config.limits.model_dump()),
        rss=_rss(plan.rss),
        timing=_timing(config.timing),
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


def binding_transfer(config: Config, transfer: Transfer, target: Address, mac: str) -> binding.Transfer:
    """What the dataplane is told of one transfer of the configuration."""
    whole = transfer.sample_percent == 100  # noqa: PLR2004 - per cent
    return binding.Transfer(
        source_ip=transfer.source.address,
        source_port=transfer.source.port,
        target_ip=target,
        target_port=transfer.target.port,
        target_mac=mac,
        transport=_transport(transfer),
        multiplier=transfer.multiplier,
        sample=0 if whole else round(SAMPLES * transfer.sample_percent / 100),
        ramp=round(transfer.ramp_s * NANOSECONDS_PER_S),
        pool=tuple(binding.Range(one.first, one.count) for one in config.pool(transfer)),
        instance=transfer.instance,
        instances=transfer.instances,
        full_sessions_only=transfer.full_sessions_only,
        no_wait=transfer.no_wait,
        turns=binding.Turns[transfer.turns.name],
        reopen=transfer.reopen,
        ack_mirrored=transfer.ack is Ack.MIRRORED,
        tls_replay=transfer.tls is Tls.REPLAY,
        mss=transfer.mss or 0,
        loopback_ip=transfer.loopback_clients,
        sessions_per_second=transfer.sessions_per_second,
    )


def _rss(rss: Rss | None) -> binding.Rss:
    return binding.Rss(rss.table, rss.key, rss.symmetry, rss.fields) if rss else binding.Rss()


def _transport(transfer: Transfer) -> Transport:
    return Transport.UDP if transfer.protocol is Protocol.UDP else Transport.TCP


def _timing(timing: Timing) -> binding.Timing:
    return binding.Timing(
        settle=round(timing.settle_ms * NANOSECONDS_PER_MS),
        response_timeout=round(timing.response_timeout_s * NANOSECONDS_PER_S),
        idle_timeout=round(timing.idle_timeout_s * NANOSECONDS_PER_S),
        datagram_timeout=round(timing.datagram_timeout_s * NANOSECONDS_PER_S),
        gap_timeout=round(timing.gap_timeout_s * NANOSECONDS_PER_S),
        linger=round(timing.linger_s * NANOSECONDS_PER_S),
        tries=timing.tries,
        syn_tries=timing.syn_tries,
    )
