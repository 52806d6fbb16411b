"""The replay rate of the real engine beside a bare AF_XDP forwarder, between the same two devices.

A generator in the switch's namespace shows the span port what a switch would: the clients' frames of some
hundred connections that stay open. Three receivers take turns, several times, because the speed of a machine
changes more from minute to minute than they differ:

    forwarder  copies each frame from mirror0 to test0, where it ends; nothing else. The limit of the devices
    answered   the same, but the target answers requests, and the answers are received and forgotten: as many
               frames each way as the engine moves, so that the rest of the difference is the engine's own
    engine     replays them, with the same target: an XDP program that answers without a TCP stack

Then the same devices with two queues, and the engine with one worker and with two, one of which shares the
generator's CPU: a veth delivers to the queue of the CPU that sends, so every mirrored frame arrives at that
worker, and half of them are handed on.

Receiver and generator have a CPU each. What the kernel does for a frame is done where it is caused:
receiving on mirror0 on the generator's CPU; sending on test0, the target's XDP program, and receiving its
answers on the receiver's. CPU time is the process's own, by /proc: with the kernel's part on its CPU.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.lab import Lab
from tests.bench import native, programs
from tests.bench.native import BenchError
from tests.bench.programs import Load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.programs import Kind, Program, Receiver, Result

PREFIX = "xb"
WINDOW = Load(window=1024)  # the sockets' rings hold 2048
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
TICKS = os.sysconf("SC_CLK_TCK")
KINDS: tuple[Kind, ...] = ("forwarder", "answered", "engine")
WORKERS: tuple[Kind, ...] = ("engine", "two workers")


def measure(*, quick: bool) -> Result:
    """Each receiver by turns, as fast as it can without losing a frame."""
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchError("the lab needs two CPUs: one for the generator, one for what is measured")
    native.build("lab")
    rounds, seconds = (2, 1.0) if quick else (5, 3.0)
    done = run_rounds(KINDS, 1, rounds, seconds)
    workers = run_rounds(WORKERS, 2, rounds, seconds)
    return {
        "connections": programs.CONNECTIONS,
        "window": WINDOW.window,
        "seconds_each": seconds,
        "runs": [result for each in done for result in each.values()],
        "summary": summaries(done),
        "ratio": {kind: ratio(done, "engine", kind) for kind in KINDS if kind != "engine"},
        "workers": summaries(workers),
        "workers_ratio": ratio(workers, "two workers", "engine"),
    }


def run_rounds(kinds: tuple[Kind, ...], queues: int, rounds: int, seconds: float) -> list[dict[Kind, Result]]:
    """One run of each in each round; who is first changes."""
    done = []
    with Lab(PREFIX, direction="client", queues=queues) as lab:
        for number in range(rounds):
            first = number % len(kinds)
            order = kinds[first:] + kinds[:first]
            done.append({kind: run(lab, kind, WINDOW, seconds) for kind in order})
    return done


def ratio(done: Sequence[dict[Kind, Result]], one: Kind, other: Kind) -> Result:
    """One receiver against another, round by round."""
    return {
        name: spread([each[one][name] / each[other][name] for each in done])
        for name in ("sent_per_second", "sent_per_cpu_second")
    }


def run(lab: Lab, kind: Kind, load: Load, seconds: float, *, promptly: bool = False) -> Result:
    """One receiver, from its start to its end. ``promptly``: it is to be woken at once."""
    with tempfile.TemporaryDirectory(prefix="xdpcopy-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        answers = "swallow" if kind == "forwarder" else "answer"
        target = stack.enter_context(programs.running_target(lab, answers))
        receiver = stack.enter_context(programs.RECEIVERS[kind](lab, folder))
        (programs.put_first if promptly else programs.prefer)(receiver.process)
        generator = stack.enter_context(programs.running_generator(lab, folder, receiver.stats, load))
        before = sample(receiver, generator)
        time.sleep(seconds)
        after = sample(receiver, generator)
        made = generator.finish()
        programs.wait_until_taken(receiver)
        ended = receiver.finish()
        counted = target.finish()
    dropped = not load.visit and any(ended.get("drops", {}).values())
    if load.window and (made["lost"] or ended.get("lost_at_sockets") or dropped):
        raise BenchError(f"frames were lost or dropped though no more were sent than taken: {made} {ended}")
    delays = {int(delay): count for delay, count in counted.pop("delays").items()}
    return {
        "kind": kind,
        "load": asdict(load),
        "latency": percentiles(delays),
        **rates(before, after),
        "generated": made["frames"],
        "lost_on_the_way": made["lost"],
        "at_target": programs.nonzero(counted),
        **ended,
    }


def percentiles(delays: dict[int, int]) -> dict[str, int]:
    """Of requests at the target, by nanoseconds since they were made: how many of them took no longer."""
    total = sum(delays.values())
    found: dict[str, int] = {}
    seen = 0
    for delay, count in sorted(delays.items()):
        seen += count
        for name, part in PERCENTILES.items():
            if name not in found and seen >= part * total:
                found[name] = delay
    return found


@dataclass(frozen=True)
class Sample:
    """What had happened at one moment."""

    time: float
    offered: int
    counters: dict[str, int]
    cpu: float  # seconds of the receiver's process


def sample(receiver: Receiver, generator: Program) -> Sample:
    """Look at everything at once."""
    return Sample(
        time.monotonic(),
        programs.counters(generator.stats)["sent_frames"],
        programs.counters(receiver.stats),
        cpu_seconds(receiver.process.pid),
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rates(before: Sample, after: Sample) -> Result:
    """What happened between two moments."""
    seconds = after.time - before.time
    cpu = after.cpu - before.cpu
    grown = {name: value - before.counters[name] for name, value in after.counters.items()}
    sent = grown["sent_frames"]
    if not sent or not cpu:
        raise BenchError(f"nothing was sent: {programs.nonzero(grown)}")
    return {
        "seconds": round(seconds, 3),
        "offered_per_second": round((after.offered - before.offered) / seconds),
        "received_per_second": round(grown["mirror_frames"] / seconds),
        "sent_per_second": round(sent / seconds),
        "requests_per_second": round(grown["turns_sent"] / seconds),
        "answers_per_second": round(grown["test_frames"] / seconds),
        "cpu_seconds_per_million_sent": round(cpu / sent * 1e6, 3),
        "sent_per_cpu_second": round(sent / cpu),
        "share_of_cpu": round(cpu / seconds, 3),
        "ended": {
            name.removeprefix("end_"): value
            for name, value in grown.items()
            if name.startswith("end_") and value
        },
    }


def summaries(done: Sequence[dict[Kind, Result]]) -> dict[Kind, Result]:
    """Of each receiver: the middle and the range of what was measured several times."""
    names = (
        *("offered_per_second", "received_per_second", "sent_per_second", "requests_per_second"),
        *("answers_per_second", "sent_per_cpu_second", "cpu_seconds_per_million_sent", "share_of_cpu"),
    )
    return {kind: {name: spread([each[kind][name] for each in done]) for name in names} for kind in done[0]}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, middle, most."""
    return {
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }
