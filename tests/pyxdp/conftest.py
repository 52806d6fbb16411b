"""Fixtures of the AF_XDP tests: they need root, and work in network namespaces without a name.

Such a namespace ends with its last user, so nothing stays behind, whatever happens to a test.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dataplane.pyxdp import Program, Socket, SocketMode
from dataplane.steering import Steering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> str:
    """Run ``ip`` in the namespace of the test; its output."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@contextmanager
def namespace() -> Iterator[None]:
    """Be in a new network namespace without devices but ``lo``."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert LIBC.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield
    finally:
        LIBC.setns(home, CLONE_NEWNET)
        os.close(home)


def eventually(true: Callable[[], bool], seconds: float = 3.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def _quiet() -> Iterator[None]:
    """Be where a veth pair px0, px1 of two queues is, both ends down: no frame that is not the test's own."""
    with namespace():
        queues = ("numrxqueues", "2", "numtxqueues", "2")
        ip("link", "add", "px0", *queues, "type", "veth", "peer", "name", "px1", *queues)
        yield


@pytest.fixture
def _pair(_quiet: None) -> None:
    """Be where a veth pair px0, px1 is up, and silent: without IPv6 the kernel sends nothing by itself."""
    for device in ("px0", "px1"):
        Path(f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6").write_text("1")
        ip("link", "set", device, "up")
    assert eventually(lambda: "state UP" in ip("link", "show", "px0"))


@dataclass
class Steered:
    """A steered px0, and a socket on its queue 0 that is in the map."""

    steering: Steering
    socket: Socket

    @property
    def program(self) -> Program:
        """The program that is attached."""
        return self.steering._program

    def fate(self, frame: bytes) -> tuple[str, str]:
        """The verdict on a frame, and the one count under which it went."""
        before = self.steering.counts()
        verdict = self.program.test_run(frame).verdict.name
        counted = {name: n - before[name] for name, n in self.steering.counts().items() if n != before[name]}
        assert list(counted.values()) == [1], f"a frame is counted once: {counted}"
        return verdict, next(iter(counted))


@pytest.fixture
def steer(_quiet: None) -> Iterator[Callable[..., Steered]]:
    """Steer px0; ``connected=False`` leaves the map of sockets empty."""
    opened: list[Steered] = []

    def make(*arguments: object, connected: bool = True, **more: object) -> Steered:
        steered = Steered(
            Steering(arguments[0], "px0", *arguments[1:], **more),  # type: ignore[arg-type]
            Socket("px0", mode=SocketMode.COPY, ring_size=64),
        )
        opened.append(steered)
        if connected:
            steered.socket.register(steered.program.maps["sockets"])
        return steered

    yield make
    for steered in opened:
        steered.socket.close()
        steered.steering.close()


def compile_bpf(source: str, target: Path) -> bytes:
    """The BPF object of a C source."""
    machine = subprocess.run(["gcc", "-dumpmachine"], check=True, capture_output=True, text=True).stdout
    command = ["clang", "-O2", "-g", "-target", "bpf", f"-I/usr/include/{machine.strip()}"]
    subprocess.run([*command, "-c", "-xc", "-", "-o", str(target)], input=source, text=True, check=True)
    return target.read_bytes()
