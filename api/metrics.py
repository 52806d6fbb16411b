"""``/metrics`` for Prometheus: every counter under its own name, plus the state of the engine."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from appliance.contract.appliance import GetStatus
from appliance.contract.base import ControlError
from appliance.contract.observed import GetLatency
from appliance.engine.stats import GAUGES, MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from api.context import Context
    from appliance.contract.appliance import PortStatus, Status
    from appliance.contract.observed import Distribution

BUCKETS_S = (
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
)


class Collector:
    """Asks the engine on every scrape. Labels are bounded: transfers and devices only."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        """The metrics; without an engine, only that it is down."""
        try:
            status = self._context.client.call(GetStatus())
        except ControlError:
            status = None
        yield GaugeMetricFamily("xdpcopy_engine_up", "Whether the engine answers.", status is not None)
        if status is None:
            return
        yield from _state(status)
        with suppress(ControlError):  # an engine that has stepped aside counts nothing
            yield from list(self._counted())

    def _counted(self) -> Iterator[Metric]:
        counters = self._context.counters.newest()
        for name, value in counters.totals.items():
            yield _total(name, {(): value}, ())
        of_transfers: dict[str, dict[tuple[str, ...], int]] = {}
        for transfer, counted in counters.transfers.items():
            for name, value in counted.items():
                of_transfers.setdefault(name, {})[transfer,] = value
        for name, values in of_transfers.items():
            yield _total(f"transfer_{name}", values, ("transfer",))
        latency = self._context.client.call(GetLatency())
        yield _times("target", latency.target)
        yield _times("production", latency.production)


def _state(status: Status) -> Iterator[Metric]:
    yield GaugeMetricFamily("xdpcopy_armed", "0 after an emergency stop, otherwise 1.", status.armed)
    yield GaugeMetricFamily("xdpcopy_healthy", "Whether every worker is responding.", status.healthy)
    yield GaugeMetricFamily(
        "xdpcopy_aside",
        "Whether the engine has stepped aside for a replay of captures or the doctor.",
        bool(status.aside),
    )
    yield GaugeMetricFamily("xdpcopy_start_time_seconds", "When the engine started.", status.started_at)
    yield _lost(status.ports)


def _total(name: str, values: Mapping[tuple[str, ...], int], labels: tuple[str, ...]) -> Metric:
    plain = name.removeprefix("transfer_") if labels else name
    kind = GaugeMetricFamily if plain in GAUGES else CounterMetricFamily
    made: Metric = kind(f"xdpcopy_{name}", MEANINGS[plain], labels=labels)
    for label, value in values.items():
        made.add_metric(label, value)  # type: ignore[attr-defined]  # of either kind
    return made


def _lost(ports: Iterable[PortStatus]) -> Metric:
    made = CounterMetricFamily(
        "xdpcopy_port_lost_frames", "Frames lost because a port's sockets were full.", labels=("device",)
    )
    for port in ports:
        made.add_metric((port.device,), sum(queue.lost for queue in port.queues))
    return made


def _times(side: str, found: Mapping[str, Distribution]) -> Metric:
    made = HistogramMetricFamily(
        f"xdpcopy_{side}_answer_seconds",
        "Time from the last byte of a request to the first byte of its answer.",
        labels=("transfer",),
    )
    for transfer, times in found.items():
        buckets = [
            (str(bound), sum(count for upper, count in times.buckets if upper <= bound))
            for bound in BUCKETS_S
        ]
        made.add_metric((transfer,), [*buckets, ("+Inf", times.count)], times.sum_s)
    return made


def text(context: Context) -> bytes:
    """All metrics, in Prometheus's text format."""
    registry = CollectorRegistry()
    registry.register(Collector(context))
    return generate_latest(registry)
