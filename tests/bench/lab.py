"""The replay rate of the real engine beside a bare AF_XDP forwarder, between the same two devices.

A generator in the switch's namespace shows the span port what a switch would: the clients' frames of some
hundred connections that stay open. The forwarder copies each frame from mirror0 to test0 and does nothing
else; the engine replays them, to a target that answers by an XDP program, without a TCP stack. They take
turns, several times, because the machine's speed changes more from minute to minute than they differ.

Receiver and generator have a CPU each. What the kernel does for a frame is done where it is caused: receiving
on mirror0 on the generator's CPU; sending on test0, the target's XDP program, and receiving its answers on the
receiver's. CPU time is the process's own, by /proc: with the kernel's part on its CPU.
"""

from __future__ import annotations

import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from appliance.demo.process import Replay
from appliance.lab import Lab
from dataplane.binding import Segment
from tests.bench import native
from tests.bench.native import BUILD, BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["forwarder", "engine"]
Result = dict[str, Any]

PREFIX = "xb"
SPAN = "span0"
TARGET_DEVICE = "target0"
SOURCE, TARGET = "198.18.0.2:80", "198.19.0.2:8080"
CONNECTIONS = 512
WINDOW = 1024  # frames under way; the sockets' rings hold 2048
UNLIMITED = 0
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
WARM_UP_S = 0.3
MARGIN_S = 30
TICKS = os.sysconf("SC_CLK_TCK")
KINDS: tuple[Kind, Kind] = ("forwarder", "engine")


def measure(*, quick: bool) -> Result:
    """Both receivers by turns, as fast as each can without losing a frame; then overrun, once."""
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchError("the lab needs two CPUs: one for the generator, one for what is measured")
    native.build("lab")
    rounds, seconds = (2, 1.0) if quick else (5, 3.0)
    with Lab(PREFIX, direction="client") as lab:
        pairs = [run_pair(lab, number, seconds) for number in range(rounds)]
        overrun = [] if quick else [run(lab, kind, UNLIMITED, seconds) for kind in KINDS]
    return {
        "connections": CONNECTIONS,
        "window": WINDOW,
        "seconds_each": seconds,
        "runs": [result for pair in pairs for result in pair.values()],
        "overrun": overrun,
        "summary": {kind: summary([pair[kind] for pair in pairs]) for kind in KINDS},
        "ratio": {
            name: spread([pair["engine"][name] / pair["forwarder"][name] for pair in pairs])
            for name in ("sent_per_second", "sent_per_cpu_second")
        },
    }


def run_pair(lab: Lab, number: int, seconds: float) -> dict[Kind, Result]:
    """One run of each; who is first changes."""
    order = KINDS if number % 2 == 0 else KINDS[::-1]
    return {kind: run(lab, kind, WINDOW, seconds) for kind in order}


def run(lab: Lab, kind: Kind, window: int, seconds: float) -> Result:
    """One receiver, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="xdpcopy-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        program = "answer" if kind == "engine" else "swallow"
        target = stack.enter_context(running_target(lab, program))
        receiver = stack.enter_context(RECEIVERS[kind](lab, folder))
        generator = stack.enter_context(running_generator(lab, folder, receiver.stats, window))
        before = sample(receiver, folder)
        time.sleep(seconds)
        after = sample(receiver, folder)
        sent = generator.finish()
        ended = receiver.finish()
        counted = target.finish()
    if kind == "engine" and counted["failed"]:
        raise BenchError(f"the target's program failed to answer {counted['failed']} times")
    return {
        "kind": kind,
        "window": window,
        **rates(before, after),
        "generated": sent["frames"],
        "lost_on_the_way": sent["lost"],
        **ended,
    }


# --- programs ---


class Program:
    """A program that says ``ready``, ends when it is asked to, and then prints JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.stats = Path()

    def wait_until_ready(self) -> None:
        """Read the line that it begins with."""
        assert self.process.stdout
        if self.process.stdout.readline().strip() != "ready":
            raise BenchError(self.why())

    def why(self) -> str:
        """Say what it said."""
        self.process.kill()
        _, said = self.process.communicate()
        return f"{self.process.args} does not start: {said.strip()}"

    def finish(self) -> Result:
        """End it: what it printed."""
        if self.process.poll() is None:
            self.process.terminate()
        printed, said = self.process.communicate(timeout=STOP_TIMEOUT_S)
        if self.process.returncode:
            raise BenchError(f"{self.process.args}: {said.strip()}")
        result: Result = json.loads(printed)
        return result


class Target(Program):
    """Ends with its standard input."""

    def finish(self) -> Result:
        printed, said = self.process.communicate("", timeout=STOP_TIMEOUT_S)
        if self.process.returncode:
            raise BenchError(f"{self.process.args}: {said.strip()}")
        result: Result = json.loads(printed)
        return result


@contextmanager
def program(lab: Lab, role: Any, argv: Sequence[str | Path], kind: type[Program]) -> Iterator[Program]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = lab.exec(role, [str(part) for part in argv], **pipes)
    try:
        yield kind(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def running_target(lab: Lab, name: str) -> Iterator[Program]:
    """A target that is one XDP program."""
    argv = (sys.executable, "-m", "tests.bench.target", BUILD / "target.bpf.o", name, TARGET_DEVICE)
    with program(lab, "target", argv, Target) as target:
        target.wait_until_ready()
        yield target


@contextmanager
def running_forwarder(lab: Lab, folder: Path) -> Iterator[Program]:
    """The bare forwarder on the last CPU."""
    stats = folder / "forwarder"
    argv = (
        *("taskset", "--cpu-list", str(native.last_cpu()), BUILD / "forwarder", BUILD / "forward.bpf.o"),
        *(lab.mirror_device, lab.test_device, stats, f"--seconds={MARGIN_S}"),
    )
    with program(lab, "appliance", argv, Program) as forwarder:
        forwarder.wait_until_ready()
        forwarder.stats = stats
        yield forwarder


class Engine:
    """``xdpcopy run``, its worker on the last CPU."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.stats = replay.stats_path
        assert replay.process
        self.process = replay.process

    def finish(self) -> Result:
        """End it as an operator would. Raises BenchError if its account does not close."""
        status = self.replay.stop()
        if status:
            raise BenchError(f"xdpcopy run: exit {status}: {self.replay.log_path.read_text().strip()}")
        ledger = self.replay.ledger()
        if not ledger["closes"]:
            raise BenchError(f"the ledger does not close: {ledger['equations']}")
        return {
            "drops": {role: nonzero(reasons) for role, reasons in ledger["drops"].items()},
            "ends": nonzero(ledger["ends"]),
            "lost_at_sockets": sum(port["lost"] for port in ledger["ports"]),
            "retransmits": ledger["counters"]["retransmits"],
        }


@contextmanager
def running_engine(lab: Lab, folder: Path) -> Iterator[Engine]:
    configuration = {
        "mirror": [{"device": lab.mirror_device}],
        "test": {"device": lab.test_device},
        "transfers": [{"source": SOURCE, "target": TARGET}],
        "cpus": [native.last_cpu()],
    }
    path = folder / "xdpcopy.yaml"
    path.write_text(yaml.safe_dump(configuration))
    with Replay(lab, folder / "engine", ("--config", str(path))) as replay:
        yield Engine(replay)


RECEIVERS: dict[Kind, Any] = {"forwarder": running_forwarder, "engine": running_engine}


@contextmanager
def running_generator(lab: Lab, folder: Path, receiver: Path, window: int) -> Iterator[Program]:
    """The generator on another CPU, its handshakes done and its requests flowing."""
    others = sorted(os.sched_getaffinity(0) - {native.last_cpu()})
    own = folder / "generator"
    argv = (
        *("taskset", "--cpu-list", str(others[-1]), BUILD / "generator", BUILD / "generate.bpf.o", SPAN),
        *(own, receiver, f"--connections={CONNECTIONS}", f"--window={window}", f"--seconds={MARGIN_S}"),
    )
    with program(lab, "switch", argv, Program) as generator:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not own.exists() or counters(own)["sent_frames"] <= 2 * CONNECTIONS:
            if generator.process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(generator.why())
            time.sleep(0.02)
        time.sleep(WARM_UP_S)
        yield generator


# --- numbers ---


@dataclass(frozen=True)
class Sample:
    """What had happened at one moment."""

    time: float
    offered: int
    counters: dict[str, int]
    cpu: float  # seconds of the receiver's process


def sample(receiver: Program | Engine, folder: Path) -> Sample:
    """Look at everything at once."""
    return Sample(
        time.monotonic(),
        counters(folder / "generator")["sent_frames"],
        counters(receiver.stats),
        cpu_seconds(receiver.process.pid),
    )


def counters(path: Path) -> dict[str, int]:
    """Every counter of a stats segment, now."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        return Segment(bytes(memory)).counters()


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
        raise BenchError(f"nothing was sent: {nonzero(grown)}")
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
    }


def summary(results: Sequence[Result]) -> Result:
    """The middle and the range of what was measured several times."""
    names = (
        *("offered_per_second", "received_per_second", "sent_per_second", "requests_per_second"),
        *("answers_per_second", "cpu_seconds_per_million_sent", "share_of_cpu"),
    )
    return {name: spread([result[name] for result in results]) for name in names}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Least, middle, most."""
    return {
        "min": round(min(values), 3),
        "median": round(statistics.median(values), 3),
        "max": round(max(values), 3),
    }


def nonzero(values: dict[str, int]) -> dict[str, int]:
    """Leave out what did not happen."""
    return {name: value for name, value in values.items() if value}
