"""Recorded conversations of real programs, replayed from their file to the oracle: every byte as it was."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import oracle_clients as clients
from tests.e2e import oracle_servers as servers
from tests.e2e.bed import assert_ledger_closes
from tests.e2e.oracle_bed import FLUSH_S, Bed, clean_lab, needed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from appliance.lab import Lab
    from tests.e2e.oracle_servers import Server

pytestmark = needed

REPLAY = (sys.executable, "-m", "appliance.cli", "replay")
REPLAY_TIMEOUT_S = 120.0
AS_RECORDED = {"complete", "client_reset"}
PACES = {"1x": ("-a", "1"), "10x": ("-a", "10"), "fast": ("--fast",)}

Talk = tuple[type[servers.Server], tuple["Callable[[Lab, Server], None]", ...]]
MIXED: tuple[Talk, ...] = (
    (servers.Redis, (clients.redis,)),
    (servers.Memcached, (clients.memcached,)),
    (servers.Postgres, (clients.postgres,)),
    (servers.Mariadb, (clients.mariadb,)),
    (servers.Smtp, (clients.smtp,)),
    (servers.Websocket, (clients.websocket,)),
    (servers.Http2, (clients.http2,)),
    (servers.Nginx, (clients.http, clients.short)),
)
BULK: tuple[Talk, ...] = ((servers.Nginx, (clients.upload, clients.download)),)


def record(talks: Sequence[Talk]) -> Iterator[tuple[Bed, list[int]]]:
    """Let production and its clients talk, all at once, and record it; no appliance yet."""
    bed = Bed()
    try:
        started: list[tuple[Server, Talk]] = []
        for talk in talks:
            server = talk[0](bed.lab, "production", bed.directory / talk[0].__name__)
            server.start()
            bed.stack.callback(server.stop)
            started.append((server, talk))
        with bed.recorded("production"), ThreadPoolExecutor(len(talks)) as pool:
            list(pool.map(lambda one: [speak(bed.lab, one[0]) for speak in one[1][1]], started))
            time.sleep(FLUSH_S)
        bed.stack.close()
        yield bed, [server.port for server, _ in started]
    finally:
        bed.close()


@pytest.fixture(scope="module")
def _lab() -> Iterator[None]:
    with clean_lab():
        yield


@pytest.fixture(scope="module")
def mixed(_lab: None) -> Iterator[tuple[Bed, list[int]]]:
    yield from record(MIXED)


@pytest.fixture(scope="module")
def bulk(_lab: None) -> Iterator[tuple[Bed, list[int]]]:
    yield from record(BULK)


def replay(bed: Bed, ports: Sequence[int], *pace: str, rounds: int = 1) -> dict[str, Any]:
    """Replay the recorded file to the oracle: the verdict for each port."""
    capture, report, ledger = bed.capture("production"), bed.directory / "verdict", bed.directory / "ledger"
    log, target = bed.directory / "oracle.log", str(bed.lab.target)
    play = (sys.executable, "-m", "tests.e2e.oracle", str(capture), target, str(report), str(rounds))
    with log.open("wb") as output:
        oracle = bed.lab.exec("target", (*play, *map(str, ports)), stdout=output, stderr=output)
    try:
        wait_for(oracle, log, "listening")
        transfers = ",".join(f"{port}-{target}:{port}" for port in ports)
        words = ("-o", bed.lab.test_device, "-x", transfers, "--ledger", str(ledger))
        stats = ("--stats", str(bed.directory / "stats"))
        done = bed.lab.run(
            "appliance", (*REPLAY, str(capture), *words, *stats, *pace), timeout=REPLAY_TIMEOUT_S
        )
    finally:
        servers.end(oracle)
    account = json.loads(ledger.read_text())
    assert_ledger_closes(account)
    verdicts: dict[str, Any] = json.loads(report.read_text())
    faults = {port: verdict for port, verdict in verdicts.items() if verdict["exact"] != verdict["expected"]}
    assert not faults, f"{json.dumps(faults)}\n{done.stdout}\n{log.read_text()}"
    assert not any(verdict["unexpected"] for verdict in verdicts.values()), verdicts
    assert {name for name, count in account["ends"].items() if count} <= AS_RECORDED, done.stdout
    return verdicts


def wait_for(process: subprocess.Popen[bytes], log: Path, word: str) -> None:
    deadline = time.monotonic() + 30
    while word not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


@pytest.mark.parametrize("pace", PACES)
def test_every_protocol_from_one_file_is_exact(mixed: tuple[Bed, list[int]], pace: str) -> None:
    bed, ports = mixed
    verdicts = replay(bed, ports, *PACES[pace])
    assert verdicts["80"]["exact"] > clients.SHORT_CONNECTIONS
    assert len(verdicts) == len(MIXED)
    assert all(verdict["bytes_compared"] for verdict in verdicts.values())


def test_the_same_connections_twice_at_once_are_exact(mixed: tuple[Bed, list[int]]) -> None:
    """Every client endpoint is used again while the target still has its first connection in TIME_WAIT."""
    bed, ports = mixed
    verdicts = replay(bed, ports, "--fast", "-T", "2", rounds=2)
    assert verdicts["80"]["exact"] > 2 * clients.SHORT_CONNECTIONS


@pytest.mark.parametrize("pace", PACES)
def test_bulk_in_both_directions_is_exact(bulk: tuple[Bed, list[int]], pace: str) -> None:
    bed, ports = bulk
    assert replay(bed, ports, *PACES[pace])["80"]["bytes_compared"] > 100 << 20
