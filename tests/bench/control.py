"""How long the operator waits: until every worker has taken up a change, and until the engine is ready.

Changes: the real engine on memory ports, its workers as threads that have nothing to do and sleep, which is
the worst case: one that is busy looks for orders each turn. Pausing and resuming one of 64 transfers,
from the call until every worker has followed, at any moment of their sleep. Starts: ``xdpcopy run`` in the
lab, from the command until it says ``ready``; as root only.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from appliance.demo.process import Replay
from appliance.lab import Lab
from dataplane.binding import Config, Dataplane, Limits, Port, PortKind, PortRole, Transfer, TransferState
from tests.bench import programs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Result = dict[str, Any]

WORKERS = (1, 4)
TRANSFERS = 64  # the most
CHANGES, QUICK_CHANGES = 500, 100
STARTS, QUICK_STARTS = 5, 2
PREFIX = "xw"
TARGET, MAC = IPv4Address("198.19.0.2"), "02:00:00:00:00:03"


def measure(*, quick: bool) -> Result:
    """Both, with one worker and with four."""
    root = not os.geteuid()
    with preferred() if root else nullcontext():
        changes = [change(workers, QUICK_CHANGES if quick else CHANGES) for workers in WORKERS]
        starts = [start(count, QUICK_STARTS if quick else STARTS) for count in WORKERS] if root else []
    return {"changes": changes, "starts": starts}


@contextmanager
def preferred() -> Iterator[None]:
    """This process, and what it starts, goes before this machine's other programs."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def change(workers: int, count: int) -> Result:
    """Microseconds from the call until all workers have followed."""
    running = [Transfer(None, 80 + each, TARGET, 8080 + each, MAC) for each in range(TRANSFERS)]
    paused = [replace(running[0], state=TransferState.PAUSED), *running[1:]]
    ports = [Port(PortKind.MEMORY, role, queues=workers) for role in (PortRole.MIRROR, PortRole.TEST)]
    limits = Limits(connections=1000, sessions=1000, buffer_bytes=16 << 20)
    config = Config(tuple(ports), tuple(running), workers=workers, limits=limits)
    micros = []
    with Dataplane(config) as dataplane:
        dataplane.start()
        for number in range(count):
            time.sleep(0.011 + 0.0097 * number / count)  # at any moment of a sleep
            asked = time.perf_counter_ns()
            dataplane.change(running if number % 2 else paused)
            while not dataplane.is_changed():
                pass
            micros.append((time.perf_counter_ns() - asked) / 1000)
    return {"workers": workers, "transfers": TRANSFERS, "changes": count, **percentiles(micros)}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The middle, nearly the most, and the most."""
    ordered = sorted(values)
    return {
        "p50_us": round(statistics.median(ordered), 1),
        "p99_us": round(ordered[int(0.99 * len(ordered))], 1),
        "most_us": round(ordered[-1], 1),
    }


def start(workers: int, count: int) -> Result:
    """Seconds until ``ready``, ports with as many queues as there are workers."""
    with Lab(PREFIX, queues=workers) as lab, tempfile.TemporaryDirectory(prefix="xdpcopy-start-") as name:
        path = Path(name) / "xdpcopy.yaml"
        path.write_text(
            yaml.safe_dump(
                {
                    "mirror": [{"device": lab.mirror_device}],
                    "test": {"device": lab.test_device},
                    "transfers": [{"source": programs.SOURCE, "target": programs.TARGET}],
                    "workers": workers,
                    "cpus": "none",
                }
            )
        )
        seconds = []
        for _ in range(count):
            asked = time.monotonic()
            with Replay(lab, Path(name) / "engine", ("--config", str(path))):
                seconds.append(time.monotonic() - asked)
    names = ("min", "median", "max")
    values = (min(seconds), statistics.median(seconds), max(seconds))
    return {
        "workers": workers,
        "starts": count,
        **{k: round(v, 3) for k, v in zip(names, values, strict=True)},
    }
