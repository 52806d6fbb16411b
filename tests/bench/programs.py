"""The programs of the lab's benchmark, each as a context manager: target, receivers, generator."""

from __future__ import annotations

import functools
import json
import mmap
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from appliance.demo.process import Replay
from dataplane.binding import Segment
from tests.bench import native
from tests.bench.native import BUILD, BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from appliance.lab import Lab
    from appliance.lab.topology import Role

Kind = Literal["forwarder", "answered", "engine", "two workers"]
Result = dict[str, Any]

SPAN = "span0"
TARGET_DEVICE = "target0"
SOURCE, TARGET = "198.18.0.2:80", "198.19.0.2:8080"
CONNECTIONS = 512
ANSWER = 64  # bytes of each, as generator.c has them
MOST_CONNECTIONS, LINGER_S = 1 << 20, 0.2  # those that come and go are remembered, too
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0
WARM_UP_S = 0.3
QUIET_S = 0.1
LEAST_NICE = -20
MOST_SECONDS = 60  # after which each program ends by itself


@dataclass(frozen=True)
class Load:
    """What the generator sends."""

    window: int = 0  # most frames under way; 0: as many as it sends
    rate: int = 0  # frames a second; 0: as many as it can
    connections: int = CONNECTIONS  # at a time
    visit: int = 0  # requests that each makes before it goes and another comes; 0: it stays
    seconds: int = 60  # after which it ends by itself


class Program:
    """A program that prints JSON when it ends, and ends at SIGTERM."""

    def __init__(self, name: str, process: subprocess.Popen[str], stats: Path) -> None:
        """``stats`` is its stats segment, if it has one."""
        self.name = name
        self.process = process
        self.stats = stats

    def wait_until_ready(self) -> None:
        """Read the line that it says when it is."""
        assert self.process.stdout
        if self.process.stdout.readline().strip() != "ready":
            raise self.failure()

    def failure(self) -> BenchError:
        """End it: what it said."""
        self.process.kill()
        _, said = self.process.communicate()
        return BenchError(f"{self.name} fails: {said.strip()}")

    def finish(self) -> Result:
        """End it: what it printed."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._read()

    def _read(self) -> Result:
        printed, said = self.process.communicate(timeout=STOP_TIMEOUT_S)
        if self.process.returncode:
            raise BenchError(f"{self.name} fails: {said.strip()}")
        result: Result = json.loads(printed)
        return result


class Target(Program):
    """Ends when its standard input does, and not before."""

    def finish(self) -> Result:
        """End it: what it counted. Raises BenchError if it could not answer."""
        counted = self._read()
        if counted["failed"]:
            raise BenchError(f"the target's program failed to answer {counted['failed']} times")
        return counted


class Engine:
    """``xdpcopy run``."""

    def __init__(self, replay: Replay, start_seconds: float) -> None:
        self.start_seconds = start_seconds
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
            "shed": sum(port["xdp"]["overloaded"] for port in ledger["ports"]),
            "lost_at_sockets": sum(port["lost"] for port in ledger["ports"]),
            "retransmits": ledger["counters"]["retransmits"],
            "start_seconds": round(self.start_seconds, 3),
        }


Receiver = Program | Engine


@contextmanager
def running(
    lab: Lab, role: Role, argv: Sequence[str | Path], stats: Path = Path(), *, kind: type[Program] = Program
) -> Iterator[Program]:
    """A program in a namespace; gone at the end, whatever happens."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = lab.exec(role, [str(part) for part in argv], **pipes)
    try:
        yield kind(f"the program in {role}", process, stats)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@contextmanager
def running_target(lab: Lab, name: str) -> Iterator[Program]:
    """A target that is one XDP program."""
    argv = (sys.executable, "-m", "tests.bench.target", BUILD / "target.bpf.o", name, TARGET_DEVICE)
    with running(lab, "target", argv, kind=Target) as target:
        target.wait_until_ready()
        yield target


@contextmanager
def running_forwarder(lab: Lab, folder: Path, *, answers: bool = False) -> Iterator[Program]:
    """The bare forwarder on the last CPU."""
    stats = folder / "forwarder"
    argv: list[str | Path] = [
        *on_cpu(native.last_cpu()),
        *(BUILD / "forwarder", BUILD / "forward.bpf.o", lab.mirror_device, lab.test_device, stats),
        *(f"--answers={answers:d}", f"--seconds={MOST_SECONDS}"),
    ]
    with running(lab, "appliance", argv, stats) as forwarder:
        forwarder.wait_until_ready()
        yield forwarder


@contextmanager
def running_engine(lab: Lab, folder: Path, *, cpus: Sequence[int] = (), **timing: float) -> Iterator[Engine]:
    """The engine, a worker on each of these CPUs; else one, on the last."""
    configuration = {
        "mirror": [{"device": lab.mirror_device}],
        "test": {"device": lab.test_device},
        "transfers": [{"source": SOURCE, "target": TARGET}],
        "cpus": list(cpus) or [native.last_cpu()],
        "limits": {"connections": MOST_CONNECTIONS, "sessions": MOST_CONNECTIONS},
        "timing": {"linger_s": LINGER_S, **timing},
    }
    path = folder / "xdpcopy.yaml"
    path.write_text(yaml.safe_dump(configuration))
    replay = Replay(lab, folder / "engine", ("--config", str(path)))
    start = time.monotonic()
    try:
        replay.start()
    except RuntimeError as error:
        raise BenchError(str(error)) from None
    try:
        yield Engine(replay, time.monotonic() - start)
    finally:
        replay.stop()


RECEIVERS: dict[Kind, Callable[[Lab, Path], AbstractContextManager[Receiver]]] = {
    "forwarder": running_forwarder,
    "answered": functools.partial(running_forwarder, answers=True),
    "engine": running_engine,
    "two workers": functools.partial(running_engine, cpus=(native.last_cpu() - 1, native.last_cpu())),
}


@contextmanager
def running_generator(lab: Lab, folder: Path, receiver: Path, load: Load) -> Iterator[Program]:
    """The generator on another CPU, its first handshakes done and its requests flowing."""
    stats = folder / "generator"
    argv: list[str | Path] = [
        *on_cpu(max(os.sched_getaffinity(0) - {native.last_cpu()})),
        *(BUILD / "generator", BUILD / "generate.bpf.o", SPAN, stats, receiver),
        *(f"--connections={load.connections}", f"--window={load.window}", f"--rate={load.rate}"),
        *(f"--visit={load.visit}", f"--seconds={load.seconds}"),
    ]
    with running(lab, "switch", argv, stats) as generator:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not stats.exists() or counters(stats)["sent_frames"] <= 2 * load.connections:
            if generator.process.poll() is not None or time.monotonic() > deadline:
                raise generator.failure()
            time.sleep(0.02)
        prefer(generator.process)
        time.sleep(WARM_UP_S)
        yield generator


def prefer(process: subprocess.Popen[Any]) -> None:
    """Let all threads of a process have nearly all of their CPU, whatever else wants it.

    Not by a real-time policy: the kernel takes the CPU away from that for 50 ms of each second.
    """
    about = Path(f"/proc/{process.pid}")
    for thread in (about / "task").iterdir():
        os.setpriority(os.PRIO_PROCESS, int(thread.name), LEAST_NICE)
    if (about / "autogroup").exists():  # which has a weight of its own; the process leads a session
        (about / "autogroup").write_text(str(LEAST_NICE))


def put_first(process: subprocess.Popen[Any]) -> None:
    """Let all threads of a process go before this machine's other programs, at once.

    For those that sleep part of the time: see prefer.
    """
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(1))


def wait_until_taken(receiver: Receiver) -> None:
    """What is still on its way to the receiver arrives before it ends."""
    before = -1
    while (now := counters(receiver.stats)["mirror_frames"]) != before:
        before = now
        time.sleep(QUIET_S)


def on_cpu(number: int) -> tuple[str, ...]:
    """What goes before a command so that it stays on a CPU."""
    return ("taskset", "--cpu-list", str(number))


def counters(path: Path) -> dict[str, int]:
    """Every counter of a stats segment, now."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        return Segment(bytes(memory)).counters()


def nonzero(values: dict[str, int]) -> dict[str, int]:
    """Leave out what did not happen."""
    return {name: value for name, value in values.items() if value}
