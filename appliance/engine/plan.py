"""From the configuration and the facts about this machine to what the dataplane is told. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.engine import placement
from appliance.engine.forecast import forecast
from appliance.errors import ConfigError, DeviceError
from appliance.settings.config import Mode, Unwanted
from appliance.settings.transfer import Ack, Protocol, Tls
from dataplane import binding
from dataplane.binding import Capture, PortKind, PortMode, PortRole, Transport
from dataplane.pyxdp import AttachMode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.settings.config import Config, Port, Timing
    from appliance.settings.endpoint import Address, Endpoint
    from appliance.settings.transfer import Transfer
    from dataplane.pyxdp import Capabilities
    from dataplane.pyxdp.rss import Rss
    from dataplane.steering import Maps

NANOSECONDS_PER_S = 1_000_000_000
NANOSECONDS_PER_MS = 1_000_000
SAMPLES = 1 << 32

ATTACH = {
    Mode.AUTO: AttachMode.AUTO,
    Mode.ZEROCOPY: AttachMode.NATIVE,
    Mode.COPY: AttachMode.AUTO,
    Mode.GENERIC: AttachMode.GENERIC,
}
BIND = {
    Mode.AUTO: PortMode.AUTO,
    Mode.ZEROCOPY: PortMode.ZEROCOPY,
    Mode.COPY: PortMode.COPY,
    Mode.GENERIC: PortMode.COPY,
}


@dataclass(frozen=True)
class DevicePlan:
    """A port that is a network device: what was asked of it, and what it is."""

    role: PortRole
    settings: Port
    facts: Capabilities
    queues: int

    @property
    def attach(self) -> AttachMode:
        """How its XDP program is attached."""
        return ATTACH[self.settings.mode]

    @property
    def unwanted(self) -> str:
        """What its XDP program does with frames that no transfer names."""
        return str(getattr(self.settings, "unwanted", Unwanted.DROP))

    def dataplane(self, maps: Maps) -> binding.Port:
        """What the dataplane is told of it; ``maps`` are those of its XDP program."""
        settings = self.settings
        return binding.Port(
            kind=PortKind.XSK,
            role=self.role,
            device=settings.device,
            queues=self.queues,
            mode=BIND[settings.mode],
            ring_size=settings.ring_size,
            sockets_map=maps.sockets,
            shed_map=maps.shed,
            busy_poll=settings.busy_poll,
            fragments=self.facts.split,
            verify_checksums=settings.verify_checksums,
            mtu=_mtu(self),
            mac=self.facts.mac,
        )


@dataclass(frozen=True)
class CapturePlan:
    """A mirror port that reads capture files."""

    captures: Capture

    def dataplane(self) -> binding.Port:
        """Captures are often made where the NIC computes checksums, so wrong ones do not count."""
        return binding.Port(PortKind.CAPTURE, PortRole.MIRROR, verify_checksums=False)


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before anything is changed."""

    config: Config
    mirrors: tuple[DevicePlan | CapturePlan, ...]
    test: DevicePlan
    workers: int
    cpus: tuple[int, ...]
    control_cpus: tuple[int, ...]
    warnings: tuple[str, ...]

    @property
    def devices(self) -> tuple[DevicePlan, ...]:
        """The ports that are network devices, the test port last."""
        return (*(port for port in self.mirrors if isinstance(port, DevicePlan)), self.test)

    @property
    def rss(self) -> Rss | None:
        """How answers are spread over the test port's queues; None: unknown or irrelevant."""
        known = self.test.facts.rss
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
    test = _device(PortRole.TEST, config.test, facts[config.test.device])
    live = () if captures else config.mirror
    mirrors = tuple(_device(PortRole.MIRROR, port, facts[port.device]) for port in live)
    workers = _workers(config, test, available)
    near = test.facts.near_cpus
    cpus = placement.workers(config, workers, available, near)
    distant = [port.settings.device for port in mirrors if near and port.facts.near_cpus != near]
    warnings = [warning for port in (*mirrors, test) for warning in _warnings(port)]
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
    captures = [port.captures for port in plan.mirrors if isinstance(port, CapturePlan)]
    return binding.Config(
        ports=tuple(ports),
        transfers=(),
        workers=plan.workers,
        cpus=plan.cpus,
        limits=binding.Limits(**config.limits.model_dump()),
        rss=_rss(plan.rss),
        timing=_timing(config.timing),
        capture=captures[0] if captures else Capture(),
        filter=config.filter,
        clock_offset=clock_offset,
        stats_path=str(config.stats),
    )


def _device(role: PortRole, settings: Port, facts: Capabilities) -> DevicePlan:
    device, most = settings.device, facts.queues.bindable
    if not facts.up:
        raise DeviceError(f"{device} is down; bring it up: ip link set {device} up")
    largest = max(facts.socket_mtu, facts.largest_mtu)
    if facts.mtu > largest:
        raise DeviceError(
            f"{device} has MTU {facts.mtu}, more than a socket's buffers hold with its driver {facts.driver};"
            f" ip link set {device} mtu {largest}"
        )
    if settings.mode is Mode.ZEROCOPY and facts.zero_copy is False:
        raise DeviceError(
            f"{device}: its driver {facts.driver} has no zero-copy; set its mode to auto or copy"
        )
    queues = most if settings.queues == "auto" else settings.queues
    if queues > most:
        raise ConfigError(
            f"queues: {device} has {most} in use, not {queues}; ethtool -L {device} changes that"
        )
    return DevicePlan(role, settings, facts, queues)


def _workers(config: Config, test: DevicePlan, available: Sequence[int]) -> int:
    if config.workers == "auto":
        named = len(config.cpus) if isinstance(config.cpus, tuple) else len(available)
        return max(1, min(test.queues, named))
    if config.workers > test.queues:
        raise ConfigError(
            f"workers: {config.workers} workers for {test.queues} queues of {test.settings.device}; each"
            f" sends on a queue of its own, so give at most {test.queues}"
        )
    return config.workers


def _warnings(port: DevicePlan) -> list[str]:
    device, most = port.settings.device, port.facts.queues.bindable
    if port.queues == most:
        return []
    return [f"{device}: only {port.queues} of its {most} queues are served; frames of the others are dropped"]


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


def _mtu(port: DevicePlan) -> int:
    """At most what the device carries."""
    wanted = getattr(port.settings, "mtu", "auto")
    return port.facts.mtu if wanted == "auto" else min(port.facts.mtu, int(wanted))


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


def address(endpoint: Endpoint) -> Address:
    """A target's address."""
    if endpoint.address is None:  # the configuration has refused such a target
        raise ConfigError(f"target: '{endpoint}' has no address")
    return endpoint.address
