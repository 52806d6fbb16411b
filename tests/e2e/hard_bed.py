"""The bed of the hard cases: a lab of its own, with losses, a delay and servers that keep time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from appliance.lab import Lab
from tests.e2e.bed import HERE, PRODUCTION_PORT, TARGET_PORT, Bed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appliance.lab.topology import Role

PREFIX = "xh"
CLIENT_TIMEOUT_S = 120
START_TIMEOUT_S = 10.0

# Hooks of a device: what leaves it, what arrives at it.
LOSS = """
table netdev loss {{
 chain {hook} {{
  type filter hook {hook} device {device} priority 0; policy accept;
  ip protocol tcp numgen random mod 10000 < {share} counter drop
  {rest}
 }}
}}
"""


class HardBed(Bed):
    """One test's scene. ``transfer`` has settings of the transfer."""

    def __init__(self, *, transfer: dict[str, Any] | None = None, **settings: Any) -> None:
        with patch("tests.e2e.bed.PREFIX", PREFIX):
            super().__init__(**settings)
        self.stack = contextlib.ExitStack()
        self.rewired = False  # such a lab is not used again
        self.transfer = transfer or {}

    def start(self, **options: Any) -> None:
        super().start(transfer=self.transfer, **options)

    def close(self) -> None:
        try:
            self.stack.close()
        finally:
            super().close()
            if self.rewired:
                self.lab.down()

    def hard_argv(self, connections: int, requests: int, **options: Any) -> list[str]:
        argv = [sys.executable, "-m", "tests.e2e.hard_client", "--address", str(self.lab.production)]
        argv += ["--sources", ",".join(map(str, self.lab.clients))]
        argv += ["--connections", str(connections), "--requests", str(requests)]
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            argv += [flag] if value is True else [flag, str(value)]
        return argv

    @contextlib.contextmanager
    def talking(self, connections: int, requests: int, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """Let the client speak meanwhile; at the end of the block it has had all its answers."""
        argv = self.hard_argv(connections, requests, **options)
        client = self.lab.exec("client", argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield client
            said, _ = client.communicate(timeout=CLIENT_TIMEOUT_S)
            assert said, "the client failed"
            report = json.loads(said.splitlines()[-1])
            assert report["answered"] == connections * requests, report
        finally:
            client.kill()
            client.wait()

    def talk(self, connections: int, requests: int, **options: Any) -> None:
        with self.talking(connections, requests, **options):
            pass

    def lose(self, role: Role, device: str, hook: str, percent: float, rest: str = "") -> None:
        """From now on a share of the frames is dropped there."""
        rules = LOSS.format(hook=hook, device=device, share=round(percent * 100), rest=rest)
        subprocess.run(
            ("ip", "netns", "exec", self.lab.namespace(role), "nft", "-f", "-"),
            input=rules,
            text=True,
            check=True,
        )
        self.stack.callback(self.lab.run, role, ("nft", "flush", "ruleset"), check=False)

    def lose_copies(self, percent: float) -> None:
        """From now on the switch's mirror loses a share of the frames; production does not notice."""
        copy = "protocol all u32 match u32 0 0 action mirred egress mirror dev copies-in"
        self.rewired = True
        for line in (
            "ip link add name copies-in type veth peer name copies-out",
            "ip link set copies-in arp off multicast off up",
            "ip link set copies-out arp off multicast off up",
            "tc qdisc add dev copies-in root pfifo limit 100000",
            "tc qdisc del dev to-production clsact",
            "tc qdisc add dev to-production clsact",
            *(f"tc filter add dev to-production {hook} {copy}" for hook in ("egress", "ingress")),
        ):
            self.lab.run("switch", line.split())
        self.lose("switch", "copies-out", "ingress", percent, rest='fwd to "span0"')

    def lost(self, role: Role) -> int:
        """How many frames were dropped there."""
        listed = json.loads(self.lab.run(role, ("nft", "-j", "list", "ruleset")).stdout)["nftables"]
        rules = [rule["rule"]["expr"] for rule in listed if "rule" in rule]
        return sum(part["counter"]["packets"] for rule in rules for part in rule if "counter" in part)

    def serve(self, role: Role) -> Timekeeper:
        """Run the server that keeps time, in nginx's place."""
        address, port = (
            (self.lab.production, PRODUCTION_PORT) if role == "production" else (self.lab.target, TARGET_PORT)
        )
        log = self.directory / f"{role}.times"
        argv = (sys.executable, str(HERE / "hard_server.py"), str(address), str(port))
        with log.open("wb") as output:
            server = self.lab.exec(role, argv, stdout=output)
        self._until(server, log, "listening")
        return Timekeeper(log)

    def delay_clients(self, seconds: float) -> None:
        """Put a hop between the clients and the switch that holds every frame for so long, each way."""
        devices: tuple[tuple[Role, str], ...] = (("client", "client0"), ("production", "production0"))
        for role, device in devices:
            self.lab.run(role, ("ethtool", "-K", device, "tx", "off"))
        self.rewired = True
        for line in (
            "link add name hop-in type veth peer name hop-out",
            "link set to-client nomaster",
            "link set hop-in master bridge0",
            "link set hop-in up",
            "link set hop-out arp off multicast off up",
            "link set to-client arp off multicast off",
        ):
            self.lab.run("switch", ("ip", *line.split()))
        log = self.directory / "hop.log"
        argv = (sys.executable, str(HERE / "hard_hop.py"), "to-client", "hop-out", str(seconds))
        with log.open("wb") as output:
            hop = self.lab.exec("switch", argv, stdout=output)
        self._until(hop, log, "forwarding")

    def _until(self, process: subprocess.Popen[bytes], log: Path, word: str) -> None:
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        deadline = time.monotonic() + START_TIMEOUT_S
        while word not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)


@dataclass(frozen=True)
class Served:
    """One request, as the server that keeps time saw it."""

    id: str
    connection: int
    arrived: int
    acknowledged: int

    @property
    def seconds(self) -> float:
        """From the request to the acknowledgement of its whole answer."""
        return (self.acknowledged - self.arrived) / 1e9


@dataclass(frozen=True)
class Timekeeper:
    """What that server has written."""

    log: Path

    def served(self) -> list[Served]:
        lines = (line.split() for line in self.log.read_text().splitlines()[1:])
        return [Served(name, *map(int, rest)) for name, *rest in lines]


@contextlib.contextmanager
def frozen(pids: list[int]) -> Iterator[None]:
    """Stop processes, and let them go on afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def _clean_hard() -> Iterator[None]:
    Lab(PREFIX).down()
    try:
        yield
    finally:
        Lab(PREFIX).down()


@pytest.fixture
def make_hard_bed(_clean_hard: None) -> Iterator[Callable[..., HardBed]]:
    """Make beds; each is closed, and its ledger checked, at the end."""
    with contextlib.ExitStack() as stack:

        def make(**settings: Any) -> HardBed:
            bed = HardBed(**settings)
            stack.callback(bed.close)
            return bed

        yield make


@pytest.fixture
def hard_bed(make_hard_bed: Callable[..., HardBed]) -> HardBed:
    """Make the ordinary one."""
    return make_hard_bed()
