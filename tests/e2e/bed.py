"""The test bed: the lab, two nginx, the appliance, and the checks that every end-to-end test makes."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import yaml

from appliance.demo.accounts import Account, compare
from appliance.demo.nginx import Nginx, Request, make_workspace
from appliance.demo.process import Replay
from appliance.lab import Lab
from tests.e2e.premise import Copies

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PREFIX = "xe"
PRODUCTION_PORT = 80
TARGET_PORT = 8080
CLIENTS = 4
SETTLE_TIMEOUT_S = 20.0
RING_SIZE = 8192
STOP_WITHIN_S = 2.0
HERE = Path(__file__).parent


class Bed:
    """One test's scene. ``finish`` ends it with the checks; ``close`` runs after every test in any case."""

    open: ClassVar[list[Bed]] = []
    """Those that are not closed."""

    def __init__(self, *, keepalive_requests: int = 1000, serve: bool = True, **settings: Any) -> None:
        """Bring up the lab (one that fits is used again) and the servers; ``serve`` False: no target."""
        self.lab = Lab(PREFIX, clients=CLIENTS, **settings)
        self.lab.up()
        self.directory = make_workspace()
        make = {"keepalive_requests": keepalive_requests}
        self.production = Nginx(
            self.lab, "production", PRODUCTION_PORT, self.directory / "production", **make
        )
        self.target = Nginx(self.lab, "target", TARGET_PORT, self.directory / "target", **make)
        self.replay = Replay(self.lab, self.directory / "appliance", ())
        self.copies = Copies(self.lab, self.replay)
        self.stop_within_s = STOP_WITHIN_S
        self.production.start()
        if serve:
            self.target.start()
        self.open.append(self)

    def start(self, *, ipv6: bool = False, transfer: dict[str, Any] | None = None, **settings: Any) -> None:
        """Start the appliance, with rings long enough for a machine that does other things meanwhile.

        ``transfer`` has more settings of the transfer, ``settings`` others of the configuration.
        """
        target = f"[{self.lab.target6}]" if ipv6 else str(self.lab.target)
        configuration = {
            "mirror": [{"device": self.lab.mirror_device, "ring_size": RING_SIZE}],
            "test": {"device": self.lab.test_device, "ring_size": RING_SIZE},
            "transfers": [
                {"source": str(PRODUCTION_PORT), "target": f"{target}:{TARGET_PORT}", **(transfer or {})}
            ],
            **settings,
        }
        path = self.directory / "xdpcopy.yaml"
        path.write_text(yaml.safe_dump(configuration))
        self.replay.arguments = ("--config", str(path))
        self.replay.start()

    def client(
        self, requests: int, *, ipv6: bool = False, check: bool = True, **options: Any
    ) -> dict[str, Any]:
        """Run the demo's client to its end: its report. All must be answered unless ``check`` is False."""
        done = self.lab.run(
            "client", self.client_argv(requests, ipv6=ipv6, **options), check=False, timeout=150
        )
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        if check:
            assert report["answered"] == requests, report["failures"]
        return report

    def client_argv(self, requests: int, *, ipv6: bool = False, **options: Any) -> list[str]:
        """Say how the demo's client is called."""
        address = self.lab.production6 if ipv6 else self.lab.production
        sources = self.lab.clients6 if ipv6 else self.lab.clients
        argv = [sys.executable, "-m", "appliance.demo.client", "--address", str(address)]
        argv += ["--sources", ",".join(map(str, sources)), "--requests", str(requests)]
        return argv + [str(part) for name, value in options.items() for part in (f"--{name}", value)]

    def settle(self, timeout: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until every session has ended."""
        if self.replay.come_to_rest(timeout):
            return
        counters = nonzero(self.replay.counters())
        self.finish()
        lost = {port["device"]: port["lost"] for port in self.replay.ledger()["ports"]}
        raise AssertionError(f"sessions that do not end: {counters}; frames lost at the sockets: {lost}")

    def finish(self) -> dict[str, Any]:
        """Stop the appliance; check the exit, the ledger and the devices. Counters, and ends by reason.

        No lost frame excuses a failure of these checks (premise.py).
        """
        try:
            return self._finish()
        except AssertionError as error:
            pytest.fail(str(error))

    def _finish(self) -> dict[str, Any]:
        self.copies.look()
        status = self.replay.stop()
        log = self.replay.log_path.read_text()
        assert status == 0, log
        assert self.replay.stop_seconds < self.stop_within_s
        self.assert_nothing_attached()
        ledger = self.replay.ledger()
        assert_ledger_closes(ledger)
        counters: dict[str, Any] = ledger["counters"]
        return counters | {f"end_{reason}": count for reason, count in ledger["ends"].items()}

    def accounts(self) -> Account:
        """Stop the servers and compare their logs."""
        return compare(*self._logs())

    def shapes(self) -> tuple[Counter[Any], Counter[Any]]:
        """Compare without ids: for each server, what was said on the connections of each client endpoint."""
        production, target = self._logs()
        return _shapes(production), _shapes(target)

    def assert_nothing_attached(self) -> None:
        """No XDP program on the appliance's devices."""
        for device in (self.lab.mirror_device, self.lab.test_device):
            shown = self.lab.run("appliance", ("ip", "-d", "link", "show", "dev", device)).stdout
            assert "xdp" not in shown

    def assert_no_session_at_target(self) -> None:
        """No socket of ours at the target (those that closed first, by themselves, may sit out TIME_WAIT)."""
        sockets = self.target_sockets()
        for _ in range(20):
            if not sockets:
                break
            time.sleep(0.1)
            sockets = self.target_sockets()
        assert not sockets

    def target_sockets(self) -> list[str]:
        """List the target's TCP sockets that are neither listening nor in TIME_WAIT."""
        states = ("state", "all", "exclude", "listening", "exclude", "time-wait")
        return self.lab.run("target", ("ss", "-Htan", *states)).stdout.splitlines()

    def close(self) -> None:
        """Stop what still runs, check its ledger, remove the files."""
        self.open.remove(self)
        try:
            if self.replay.process is not None:
                self.finish()
        finally:
            for part in (self.replay, self.production, self.target):
                part.stop()
            if self.target_sockets():
                self.lab.down()  # a killed engine's connections: the next test shall not find them
            shutil.rmtree(self.directory, ignore_errors=True)

    def _logs(self) -> tuple[list[Request], list[Request]]:
        self.production.stop()
        self.target.stop()
        return list(self.production.requests()), list(self.target.requests())


def assert_ledger_closes(ledger: dict[str, Any]) -> None:
    """Every frame, byte and session ended under exactly one heading."""
    assert ledger["closes"], ledger


def nonzero(counters: dict[str, int]) -> dict[str, int]:
    """Leave out what did not happen."""
    return {name: value for name, value in counters.items() if value}


def ends(counters: dict[str, int]) -> dict[str, int]:
    """Pick the reasons for which sessions ended."""
    return {name.removeprefix("end_"): n for name, n in counters.items() if name.startswith("end_") and n}


def _shapes(requests: Iterable[Request]) -> Counter[tuple[str, int, Sequence[Any]]]:
    connections: dict[tuple[str, int, int], list[Request]] = defaultdict(list)
    for request in requests:
        connections[request.client, request.port, request.connection].append(request)
    return Counter(
        (
            client,
            port,
            tuple(
                (request.number, request.method, request.uri, request.status, request.body_digest())
                for request in sorted(said, key=lambda request: request.number)
            ),
        )
        for (client, port, _), said in connections.items()
    )
