"""Assigns CPUs to workers and keeps the control process off them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from appliance.settings.config import Config


def workers(config: Config, count: int, available: Sequence[int], local: Collection[int]) -> tuple[int, ...]:
    """The CPU of each worker; empty: not pinned. ``local`` are the CPUs near the test port.

    ``auto`` takes the last CPUs, near ones first, because the system's own work is mostly on the first ones.
    Raises ConfigError for a CPU that is not available.
    """
    if isinstance(config.cpus, tuple):
        for cpu in config.cpus:
            if cpu not in available:
                known = ", ".join(map(str, available))
                raise ConfigError(f"cpus: CPU {cpu} is not available to this process; it may use {known}")
        return config.cpus[:count]
    if config.cpus == "none" or count > len(available):
        return ()
    return tuple(sorted(sorted(available, key=lambda cpu: (cpu in local, cpu))[-count:]))


def control(pinned: Collection[int], available: Collection[int]) -> tuple[int, ...]:
    """The CPUs of the control process: those without a worker, or all if every CPU has one."""
    return tuple(sorted(set(available) - set(pinned))) or tuple(sorted(available))


def warnings(
    device: str, pinned: Collection[int], local: Collection[int], others: Sequence[str]
) -> list[str]:
    """What makes memory accesses cross NUMA nodes: workers or ports off the test port's node."""
    found = []
    away = sorted(set(pinned) - set(local)) if local else []
    if away:
        listed = ", ".join(map(str, away))
        found.append(
            f"workers on CPUs {listed} are not on the NUMA node of {device}: every frame crosses nodes"
        )
    found += [
        f"{other} is on another NUMA node than {device}; a slot of the same node is faster"
        for other in others
    ]
    return found


@contextmanager
def kept_to(cpus: Collection[int]) -> Iterator[None]:
    """Pins the calling thread, and the threads it starts unpinned, to these CPUs. Undone at the end."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
