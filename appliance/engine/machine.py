"""What the engine touches of the machine, in one place; tests put others there."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.engine import nic, placement
from dataplane import binding, pyxdp, steering

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from contextlib import AbstractContextManager

    from appliance.engine.hops import Resolver
    from dataplane.binding import Dataplane
    from dataplane.pyxdp import Capabilities
    from dataplane.steering import Steering


@dataclass(frozen=True)
class Machine:
    """Network devices, CPUs, XDP programs and the dataplane."""

    capabilities: Callable[[str], Capabilities] = pyxdp.capabilities
    cpus: Callable[[], Iterable[int]] = field(default=lambda: os.sched_getaffinity(0))
    kept_to: Callable[[Collection[int]], AbstractContextManager[None]] = placement.kept_to
    forwards: Callable[[str], list[str]] = nic.forwards
    silent: Callable[[str], AbstractContextManager[None]] = nic.silent
    symmetric: Callable[[str], AbstractContextManager[bool]] = nic.symmetric
    busy_polling: Callable[[str], AbstractContextManager[None]] = nic.busy_polling
    neighbours: Callable[[str], Resolver] = nic.Neighbours
    steering: Callable[..., Steering] = steering.Steering
    dataplane: Callable[[binding.Config], Dataplane] = binding.Dataplane
