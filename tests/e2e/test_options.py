"""Options of a transfer against real servers: pool, multiplier, sample, filter, full sessions only.

A lab of its own (prefix xo), so that it does not wait for other runs. Pools lie in 198.18.0.0/16, which the
target's route leads back to the appliance.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from appliance.lab import Lab
from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT, Bed, ends, nonzero

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PREFIX = "xo"
POOL = "198.18.200.0/24"
SAMPLED = 20_000
# Ports are other ones in each run, but the sample is even over any set of ports that the kernel hands out in
# turn. Were they drawn at random, one point would be 5.2 standard deviations at 50 % of 20,000 out of 28,232.
TOLERANCE_POINTS = 1.0

# Long-lived connections, one request for each line that it reads.
LONG = """
import socket, sys
peers = [socket.create_connection((sys.argv[1], 80), timeout=10) for _ in range(int(sys.argv[2]))]
for line in sys.stdin:
    for peer in peers:
        peer.sendall(b"GET /1024 HTTP/1.1\\r\\nHost: a\\r\\nX-Request-Id: l\\r\\n\\r\\n")
    for peer in peers:
        got = b""
        while b"\\r\\n\\r\\n" not in got or len(got.split(b"\\r\\n\\r\\n", 1)[1]) < 1024:
            got += peer.recv(65536)
    print("answered", flush=True)
"""


class OptionsBed(Bed):
    """With more ways to start, to load and to count."""

    def __init__(self, **settings: Any) -> None:
        with patch("tests.e2e.bed.PREFIX", PREFIX):
            super().__init__(**settings)

    def start_letters(self, *words: str) -> None:
        """Start it as tcpcopy's users would."""
        devices = ("-i", self.lab.mirror_device, "-o", self.lab.test_device)
        transfer = ("-x", f"{PRODUCTION_PORT}-{self.lab.target}:{TARGET_PORT}")
        self.replay.arguments = (*devices, *transfer, *words)
        self.replay.start()

    def short(self, connections: int, parallel: int) -> None:
        """So many connections of one request each."""
        url = f"http://{self.lab.production}/1024"
        self.lab.run("client", ("ab", "-q", "-n", str(connections), "-c", str(parallel), url), timeout=120)

    def requests(self) -> tuple[int, int]:
        """Stop the servers; how many requests production and target had."""
        production, target = self._logs()
        return len(production), len(target)

    def target_clients(self) -> set[tuple[str, int]]:
        """The endpoints of which the target had requests."""
        return {(request.client, request.port) for request in self._logs()[1]}


@pytest.fixture(scope="module")
def _own_lab() -> Iterator[None]:
    Lab(PREFIX).down()
    try:
        yield
    finally:
        Lab(PREFIX).down()


@pytest.fixture
def options_bed(_own_lab: None) -> Iterator[OptionsBed]:
    """Both servers up, no appliance yet."""
    bed = OptionsBed()
    try:
        yield bed
    finally:
        bed.close()


@pytest.fixture
def talk(options_bed: OptionsBed) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Open long-lived connections; a line to the process makes a request on each."""
    started: list[subprocess.Popen[str]] = []

    def start(connections: int) -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", LONG, str(options_bed.lab.production), str(connections)]
        client = options_bed.lab.exec(
            "client", argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(client)
        return client

    yield start
    for client in started:
        client.kill()
        client.wait()


def end(client: subprocess.Popen[str]) -> None:
    """Close the connections."""
    assert client.stdin is not None
    client.stdin.close()
    assert client.wait(10) == 0


def say(client: subprocess.Popen[str], times: int = 1) -> None:
    """So many requests on each connection."""
    assert client.stdin is not None
    assert client.stdout is not None
    for _ in range(times):
        client.stdin.write("now\n")
        client.stdin.flush()
        assert client.stdout.readline() == "answered\n"


def finish_multiplied(bed: OptionsBed, times: int, requests: int) -> None:
    """Each request arrived so many times, and no two sessions had one endpoint."""
    bed.settle(60)
    counters = bed.finish()
    production, target = (Counter(request.id for request in log) for log in bed._logs())
    wrong = {name: target[name] for name in production if target[name] != times * production[name]}
    assert not wrong, (wrong, nonzero(counters), bed.replay.ledger()["drops"])
    assert (production.total(), target.total()) == (requests, times * requests)
    assert ends(counters) == {"complete": times * counters["connections_opened"]}
    assert counters["sessions_refused"] == bed.replay.ledger()["drops"]["mirror"]["endpoint_taken"] == 0


@pytest.mark.every_copy
def test_n_10_with_a_pool_brings_exactly_ten_times_the_requests(options_bed: OptionsBed) -> None:
    """Kept connections and short ones."""
    bed = options_bed
    bed.start(transfer={"multiplier": 10, "clients": [POOL]})
    bed.client(1000, parallel=16, pause=0.02)
    finish_multiplied(bed, 10, 1000)


@pytest.mark.every_copy
def test_n_100_of_200_connections_at_once(
    options_bed: OptionsBed, talk: Callable[[int], subprocess.Popen[str]]
) -> None:
    bed = options_bed
    bed.target.stop()
    bed.target.processes = 4  # 20,000 connections are more than one may have open
    bed.target.start()
    bed.start_letters("-n", "100", "-c", POOL)
    client = talk(200)
    say(client, 3)
    assert bed.replay.settle(lambda now: now["turns_sent"] == 100 * 200 * 3, 60), nonzero(
        bed.replay.counters()
    )
    assert bed.replay.counters()["sessions_live"] == 20_000
    end(client)
    finish_multiplied(bed, 100, 600)


@pytest.mark.every_copy
def test_c_forges_addresses_of_the_pool_alone(options_bed: OptionsBed) -> None:
    bed = options_bed
    bed.start_letters("-c", "198.18.200.1-198.18.200.3,198.18.201.9")
    bed.short(400, 4)
    bed.settle()
    bed.finish()
    clients = bed.target_clients()
    assert len(clients) == 400
    assert {address for address, _ in clients} == {
        "198.18.200.1",
        "198.18.200.2",
        "198.18.200.3",
        "198.18.201.9",
    }


@pytest.mark.every_copy
def test_clients_of_several_addresses_share_one_forged_address(options_bed: OptionsBed) -> None:
    bed = options_bed
    bed.start_letters("-c", "198.18.200.1")
    bed.client(2000, parallel=64, pause=0.01)
    bed.settle()
    counters = bed.finish()
    account = bed.accounts()
    assert account.equal, (account, nonzero(counters))
    assert {address for address, _ in bed.target_clients()} == {"198.18.200.1"}


@pytest.mark.parametrize("percent", [10, 50])
def test_r_takes_its_share_of_the_connections(options_bed: OptionsBed, percent: int) -> None:
    bed = options_bed
    bed.start(transfer={"sample_percent": percent})
    bed.short(SAMPLED, 20)
    bed.settle()
    counters = bed.finish()
    production, target = bed.requests()
    share = 100 * target / production
    print(f"-r {percent}: {share:.2f} % of {production:,} connections")
    assert production == SAMPLED
    assert abs(share - percent) <= TOLERANCE_POINTS
    assert target <= counters["sessions_opened"] <= target + 20  # ab opens connections that it does not use


def test_f_lets_only_what_it_says_pass(options_bed: OptionsBed) -> None:
    bed = options_bed
    first = str(bed.lab.clients[0])
    bed.start_letters("-F", f"not host {first}")
    bed.client(1000, parallel=16, pause=0.005)
    bed.settle()
    bed.finish()
    production, target = bed._logs()
    addresses = {request.client for request in production}
    assert first in addresses
    assert len(addresses) > 1
    assert {request.client for request in target} == addresses - {first}
    assert len(target) == sum(request.client != first for request in production)
    assert bed.replay.ledger()["drops"]["mirror"]["filtered"] > 0


@pytest.mark.parametrize(("letters", "requests"), [((), 5), (("-O",), 0)], ids=["joined", "full_only"])
def test_o_ignores_connections_under_way(
    options_bed: OptionsBed,
    talk: Callable[[int], subprocess.Popen[str]],
    letters: tuple[str, ...],
    requests: int,
) -> None:
    bed = options_bed
    client = talk(20)
    say(client)
    bed.start_letters(*letters)
    say(client, 5)
    time.sleep(0.5)
    counters = bed.finish()
    _, target = bed.requests()
    assert target in {20 * requests, 20 * max(0, requests - 1)}, nonzero(counters)
    assert counters["connections_joined"] == (20 if requests else 0)
