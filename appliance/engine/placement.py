"""Which CPUs the workers get, and that the control process keeps off them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from appliance.settings.config import Config


def workers(config: Config, count: int, available: Sequence[int], local: Collection[int]) -> tuple[int, ...]:
    """The CPU of each worker; empty: not pinned. ``local`` are those near the test port.

    Chosen automatically they are the last ones, near CPUs before others: the first CPUs have most of the
    system's own work. Raises ConfigError for a CPU that is not available.
    """
    if isinstance(config.cpus, tuple):
        for cpu in config.cpus:
            if cpu not in available:
                known = ", ".join(map(str, available))
                raise ConfigError(f"cpus: CPU {cpu} is not there for this process; it may use {known}")
        return config.cpus[:count]
    if config.cpus == "none" or count > len(available):
        return ()
    return tuple(sorted(sorted(available, key=lambda cpu: (cpu in local, cpu))[-count:]))


def control(pinned: Collection[int], available: Collection[int]) -> tuple[int, ...]:
    """The CPUs left to the control process: those without a worker; all of them if each has one."""
    return tuple(sorted(set(available) - set(pinned))) or tuple(sorted(available))


def warnings(
    device: str, pinned: Collection[int], local: Collection[int], others: Sequence[str]
) -> list[str]:
    """What costs memory accesses across nodes: workers off the test port's node, ports of other nodes."""
    found = []
    away = sorted(set(pinned) - set(local)) if local else []
    if away:
        listed = ", ".join(map(str, away))
        found.append(
            f"workers on CPUs {listed} are not on the NUMA node of {device}: their frames go a longer way"
        )
    found += [
        f"{other} is on another NUMA node than {device}; a slot of the same node is faster"
        for other in others
    ]
    return found


@contextmanager
def kept_to(cpus: Collection[int]) -> Iterator[None]:
    """The calling thread, and those it starts without a CPU of their own, run there; undone at the end."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
