"""Capture files: what a client's tcpdump recorded is replayed whole, again and again, at every speed."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.demo.nginx import Nginx, make_workspace
from appliance.lab import Lab
from tests.e2e.bed import assert_ledger_closes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.demo.nginx import Request
    from appliance.lab.topology import Role

PREFIX = "xo"
KEPT, SHORT, POSTS = 4000, 1000, 300
TIMES = 3
WITHIN_S = 60.0
END_S = 60.0
LOG_S = 3.0
STAND_IN = "198.18.9.9"

Shape = Counter[tuple[Any, ...]]


@dataclass
class Recorded:
    """A lab with a running target, and a capture of what clients asked of production."""

    lab: Lab
    directory: Path
    target: Nginx
    capture: Path
    asked: Shape

    def replay(self, *options: str) -> tuple[dict[str, Any], str]:
        """Run the command to its end: the ledger and what it said."""
        ledger = self.directory / "ledger.json"
        files = ("--ledger", str(ledger), "--stats", str(self.directory / "stats"))
        transfer = f"80-{self.lab.target}:8080"
        argv = (*COMMAND, str(self.capture), "-o", self.lab.test_device, "-x", transfer, *files, *options)
        done = self.lab.run("appliance", argv, check=False, timeout=END_S)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(ledger.read_text())
        assert_ledger_closes(found)
        return found, done.stdout

    def served(self, after: int, wanted: int) -> list[Request]:
        """What the target has logged after so many requests, once it is ``wanted``, or after a while."""
        deadline = time.monotonic() + LOG_S
        while True:
            found = list(self.target.requests())[after:]
            if len(found) >= wanted or time.monotonic() > deadline:
                return found
            time.sleep(0.1)


COMMAND = (sys.executable, "-m", "appliance.cli", "replay")


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    """Record kept, short and posting connections of ab, and curl's, on the client's own device."""
    directory = make_workspace()
    lab = Lab(PREFIX, clients=2)
    lab.down()
    try:
        lab.up()
        production = Nginx(lab, "production", 80, directory / "production")
        target = Nginx(lab, "target", 8080, directory / "target")
        production.start()
        target.start()
        capture = record(lab, directory, "client", "client0", str(lab.production))
        production.stop()
        yield Recorded(lab, directory, target, capture, shape(production.requests()))
        target.stop()
    finally:
        lab.down()
        shutil.rmtree(directory, ignore_errors=True)


def record(lab: Lab, directory: Path, role: Role, device: str, server: str) -> Path:
    """Let clients there talk to the server while tcpdump writes; nothing may be missing."""
    path, log = directory / f"{device}.pcap", directory / f"{device}.log"
    body = directory / "body"
    body.write_bytes(b"0123456789abcdef" * 4000)
    body.chmod(0o644)
    url = f"http://{server}"
    with log.open("wb") as errors:
        words = ("-i", device, "--immediate-mode", "-B", "131072", "-U", "-w", str(path), "tcp port 80")
        dump = lab.exec(role, ("tcpdump", *words), stderr=errors)
    while "listening" not in log.read_text():
        assert dump.poll() is None, log.read_text()
        time.sleep(0.02)
    for argv in (
        ("ab", "-q", "-k", "-n", str(KEPT), "-c", "20", f"{url}/1024"),
        ("ab", "-q", "-n", str(SHORT), "-c", "10", f"{url}/64"),
        ("ab", "-q", "-k", "-n", str(POSTS), "-c", "8", "-p", str(body), "-T", "text/plain", f"{url}/store"),
        ("curl", "-sf", "-o", "/dev/null", f"{url}/1048576", "-o", "/dev/null", f"{url}/65536"),
    ):
        lab.run(role, argv)
    time.sleep(0.5)
    dump.send_signal(signal.SIGINT)
    dump.wait(10)
    assert "\n0 packets dropped by kernel" in log.read_text(), log.read_text()
    return path


def shape(requests: Any) -> Shape:
    """Every request: on which client's connection, as which of it, and what was answered."""
    return Counter(
        (each.client, each.port, each.number, each.method, each.uri, each.answer, each.body_digest())
        for each in requests
    )


@pytest.mark.parametrize("options", [("-a", "1"), ("-a", "10"), ("--fast",)], ids=["1x", "10x", "fast"])
def test_every_request_arrives_each_time(recorded: Recorded, options: tuple[str, ...]) -> None:
    wanted = recorded.asked.total()
    assert wanted == KEPT + SHORT + POSTS + 2
    before = len(recorded.served(0, 0))
    start = time.monotonic()
    for turn in range(TIMES):
        ledger, said = recorded.replay(*options)
        served = recorded.served(before + turn * wanted, wanted)
        assert shape(served) == recorded.asked, (said, ledger["ends"], ledger["drops"])
        assert ledger["ends"]["complete"] == ledger["counters"]["sessions_opened"]
        assert ledger["capture"]["finished"]
        print(f"{' '.join(options)}: {wanted:,} requests in {ledger['seconds']:.2f} s")
    assert time.monotonic() - start < WITHIN_S


def test_repeats_of_one_command(recorded: Recorded) -> None:
    wanted = TIMES * recorded.asked.total()
    before = len(recorded.served(0, 0))
    ledger, said = recorded.replay("--fast", "-T", str(TIMES))
    served = recorded.served(before, wanted)
    assert shape(served) == Counter({key: TIMES * n for key, n in recorded.asked.items()}), said
    assert ledger["capture"]["repeat"] == TIMES
    assert f"{TIMES} of {TIMES} times" in said


def test_h_stands_for_clients_on_loopback(recorded: Recorded) -> None:
    """What a server's own lo shows: an address that no target would answer."""
    lab = recorded.lab
    with Nginx(lab, "production", 80, recorded.directory / "loopback") as production:
        capture = record(lab, recorded.directory, "production", "lo", "127.0.0.1")
    asked = shape(production.requests())
    assert {client for client, *_ in asked} == {"127.0.0.1"}
    before = len(recorded.served(0, 0))
    ledger, said = replace(recorded, capture=capture).replay("--fast", "-H", STAND_IN)
    served = recorded.served(before, asked.total())
    assert {request.client for request in served} == {STAND_IN}
    assert without_client(shape(served)) == without_client(asked), (said, ledger["ends"], ledger["drops"])
    assert ledger["ends"]["complete"] == ledger["counters"]["sessions_opened"]


def without_client(shapes: Shape) -> Shape:
    """Whose connection it was is left out."""
    found: Shape = Counter()
    for (_, _, *rest), count in shapes.items():
        found[tuple(rest)] += count
    return found
