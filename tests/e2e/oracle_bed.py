"""The bed of the oracle's tests: any real server twice, production mirrored and replayed to the target.

Both servers' network devices are recorded, so that every byte which reached the target is compared with what
reached production, whatever the protocol.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.demo.nginx import make_workspace
from appliance.demo.process import Replay
from appliance.lab import Lab
from tests.e2e.bed import assert_ledger_closes, ends, nonzero
from tests.e2e.oracle_capture import differences, learn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appliance.lab.topology import Role
    from tests.e2e.oracle_capture import Conversation
    from tests.e2e.oracle_servers import Server

PREFIX = "xr"
CLIENTS = 4
CLIENT_ENDS = frozenset({"complete", "client_reset"})  # as production's client ended them
START_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 30.0
FLUSH_S = 1.2  # tcpdump's kernel buffer hands over its last block within a second
DEVICES: dict[Role, str] = {"production": "production0", "target": "target0"}
RING_SIZE = 32768  # on a busy machine the worker may not run for a while
TIMING = {"response_timeout_s": 10.0}
LIMITS = {"backlog_bytes": 256 << 20}  # on a busy machine the target may be a whole bulk transfer behind


NEEDED = ("redis-server", "redis-benchmark", "memcached", "mariadbd", "mariadb", "pgbench", "h2load")
needed = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason=f"not installed: one of {', '.join(NEEDED)}"
)


class Bed:
    """One test's scene: lab, appliance, and the two servers of a kind."""

    def __init__(self) -> None:
        """Bring up the lab; one that is there is used again."""
        self.lab = Lab(PREFIX, clients=CLIENTS)
        self.lab.up()
        self.directory = make_workspace()
        self.replay = Replay(self.lab, self.directory / "appliance", ())
        self.stack = contextlib.ExitStack()
        self.port = 0

    def serve(
        self, make: Callable[[Lab, Role, Path], Server], *, record: bool = True
    ) -> tuple[Server, Server]:
        """Start production, target and the appliance between them; record both if asked."""
        production, target = (make(self.lab, role, self.directory / role) for role in DEVICES)
        self.port = production.port
        for server in (production, target):
            server.start()
            self.stack.callback(server.stop)
        if record:
            self.record()
        self.start(production.port, target.port)
        return production, target

    def record(self) -> None:
        """Record both servers' devices from now on."""
        for role in DEVICES:
            self.stack.enter_context(self.recorded(role))

    def start(self, source: int, target: int, **timing: Any) -> None:
        """Start the appliance."""
        path = self.directory / "xdpcopy.yaml"
        configuration = {
            "mirror": [{"device": self.lab.mirror_device, "ring_size": RING_SIZE}],
            "test": {"device": self.lab.test_device},
            "transfers": [{"source": str(source), "target": f"{self.lab.target}:{target}"}],
            "limits": LIMITS,
            "timing": TIMING | timing,
        }
        path.write_text(yaml.safe_dump(configuration))
        self.replay.arguments = ("--config", str(path))
        self.replay.start()

    def capture(self, role: Role) -> Path:
        """Where a server's device is recorded."""
        return self.directory / f"{role}.pcap"

    @contextlib.contextmanager
    def recorded(self, role: Role) -> Iterator[None]:
        """Record a server's device whole; a frame that tcpdump lost is an error."""
        log = self.directory / f"{role}.tcpdump"
        words = ("-i", DEVICES[role], "-w", str(self.capture(role)), "tcp")
        argv = ("tcpdump", "-nZroot", "-s0", "-B65536", *words)
        with log.open("wb") as output:
            dump = self.lab.exec(role, argv, stdout=output, stderr=output)
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while "listening" not in log.read_text():
                assert dump.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield
        finally:
            dump.terminate()
            dump.wait(10)
        assert "\n0 packets dropped by kernel" in log.read_text(), log.read_text()

    def settle(self, timeout: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until every session has ended."""
        done = self.replay.come_to_rest(timeout)
        assert done, f"sessions that do not end: {nonzero(self.replay.counters())}"

    def finish(self) -> dict[str, int]:
        """Stop the appliance, check exit and ledger; every session ended as its client did. The counters."""
        status = self.replay.stop()
        assert status == 0, self.replay.log_path.read_text()
        ledger = self.replay.ledger()
        assert_ledger_closes(ledger)
        counters: dict[str, int] = ledger["counters"]
        counters |= {f"end_{reason}": count for reason, count in ledger["ends"].items()}
        assert set(ends(counters)) <= CLIENT_ENDS, nonzero(counters)
        return counters

    def conversations(self) -> tuple[list[Conversation], list[Conversation]]:
        """End both recordings; what they hold."""
        time.sleep(FLUSH_S)
        self.stack.close()
        production, target = (learn(self.capture(role), self.port)[self.port] for role in DEVICES)
        return production, target

    def assert_exact(self, connections: int = 1) -> list[Conversation]:
        """Every connection of production is at the target, byte for byte. Production's."""
        production, target = self.conversations()
        assert len(production) >= connections
        assert not differences(production, target), differences(production, target)[:10]
        assert all(conversation.complete for conversation in production)
        return production

    def close(self) -> None:
        """Stop what still runs and remove the files."""
        try:
            self.replay.stop()
        finally:
            try:
                self.stack.close()
            finally:
                shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def clean_lab() -> Iterator[None]:
    """Remove what an interrupted run left, and what this one leaves."""
    Lab(PREFIX).down()
    try:
        yield
    finally:
        Lab(PREFIX).down()
