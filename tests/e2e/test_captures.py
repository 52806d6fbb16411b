"""A capture is uploaded over REST, replayed to a real server, paused and resumed: every request arrives."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import yaml

from api.tokens import Role, Tokens
from tests.e2e.bed import PRODUCTION_PORT, RING_SIZE, TARGET_PORT, Bed, assert_ledger_closes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REQUESTS = 600
PORT = 8600
WITHIN_S = 60.0
REPLAY_S = 10.0  # long enough for a pause in the middle on a busy machine
BURST = 64
LOOK_S = 0.1


class Rest:
    """Engine and api by ``xdpcopy run``, and curl beside them."""

    def __init__(self, bed: Bed) -> None:
        self.bed, folder = bed, bed.directory
        configuration = {
            "mirror": [{"device": bed.lab.mirror_device, "ring_size": RING_SIZE}],
            "test": {"device": bed.lab.test_device, "ring_size": RING_SIZE},
            "safety": {"allowed_targets": [f"{bed.lab.target}/32"]},
            "control": {"socket": str(folder / "socket"), "state": str(folder / "state.json")},
            "captures": {"directory": str(folder / "captures")},
            "api": {
                "tokens": str(folder / "tokens.json"),
                "audit": str(folder / "audit.jsonl"),
                "port": PORT,
            },
        }
        self.token = Tokens(folder / "tokens.json").create("operator", Role.OPERATOR)
        path = folder / "xdpcopy.yaml"
        path.write_text(yaml.safe_dump(configuration))
        bed.replay.arguments = ("--config", str(path))
        bed.replay.start()
        self.until(lambda: self.curl("/ready")[0] == 200)

    def curl(self, path: str, *words: str) -> tuple[int, Any]:
        """Status and body."""
        argv = ("curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {self.token}", *words)
        done = self.bed.lab.run("appliance", (*argv, f"http://127.0.0.1:{PORT}{path}"), check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), json.loads(body) if body else None

    def ask(self, path: str, *words: str, body: Any = None) -> Any:
        """The body of an answer that is none of a problem."""
        if body is not None:
            words = (*words, "-H", "Content-Type: application/json", "-d", json.dumps(body))
        status, said = self.curl(f"/api/v1{path}", *words)
        assert status < 300, said
        return said

    def stop(self) -> dict[str, int]:
        """The counters of the engine that was open last; its ledger closes."""
        assert self.bed.replay.stop() == 0, self.bed.replay.log_path.read_text()
        self.bed.assert_nothing_attached()
        ledger = self.bed.replay.ledger()
        assert_ledger_closes(ledger)
        counters: dict[str, int] = ledger["counters"]
        return counters

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not done():
            assert time.monotonic() < deadline
            time.sleep(LOOK_S)


def record(bed: Bed, path: Path) -> None:
    """What clients and production say to each other, as tcpdump on the clients' host sees it."""
    log = path.with_suffix(".log")
    words = ("-i", "client0", "--immediate-mode", "-B", "131072", "-U", "-w", str(path), "tcp port 80")
    with log.open("wb") as errors:
        dump = bed.lab.exec("client", ("tcpdump", *words), stderr=errors)
    while "listening" not in log.read_text():
        assert dump.poll() is None, log.read_text()
        time.sleep(0.02)
    bed.client(REQUESTS, parallel=30, pause=0.02)
    time.sleep(0.5)
    dump.terminate()
    dump.wait(10)
    assert "0 packets dropped by kernel" in log.read_text()


def test_an_uploaded_capture_is_replayed_paused_and_resumed_whole(bed: Bed) -> None:
    rest = Rest(bed)
    record(bed, bed.directory / "monday.pcap")
    data = ("--data-binary", f"@{bed.directory / 'monday.pcap'}")
    made = rest.ask("/captures?name=monday", "-H", "Content-Type: application/octet-stream", *data)
    assert (made["link"], made["truncated"]) == ("Ethernet", False)
    transfer = {"source": PRODUCTION_PORT, "target": f"{bed.lab.target}:{TARGET_PORT}"}
    options = {"captures": [made["id"]], "settings": [transfer], "speed": made["duration_s"] / REPLAY_S}
    rest.ask("/replays", body={"id": "monday", "options": options})

    def now() -> Any:
        return rest.ask("/replays/monday")

    rest.until(lambda: now()["progress"]["requests"] > REQUESTS // 20)
    assert rest.ask("/replays/monday/pause", "-X", "POST")["state"] == "paused"
    rest.until(lambda: now()["progress"]["ends_at"] is None)
    frames = now()["progress"]["frames"]
    time.sleep(1)
    paused = now()
    assert paused["state"] == "paused"
    assert paused["progress"]["frames"] <= frames + BURST
    assert paused["progress"]["percent"] < 90
    rest.ask("/replays/monday/resume", "-X", "POST")
    rest.until(lambda: now()["ended_at"] is not None)
    ended = now()
    assert (ended["state"], ended["closes"], ended["progress"]["percent"]) == ("done", True, 100), ended
    assert ended["progress"]["requests"] == REQUESTS
    ledger = rest.ask("/replays/monday/ledger")["ledger"]
    assert ledger["ends"]["complete"] == ledger["counters"]["sessions_opened"]
    rest.until(lambda: not rest.ask("/appliance")["aside"])
    rest.until(lambda: sum(1 for _ in bed.target.requests()) == REQUESTS)
    rest.stop()
    accounts = bed.accounts()
    assert accounts.equal, accounts


def test_a_cancelled_replay_leaves_nothing_at_the_target_and_live_replay_goes_on(bed: Bed) -> None:
    rest = Rest(bed)
    record(bed, bed.directory / "monday.pcap")
    made = rest.ask("/captures", "--data-binary", f"@{bed.directory / 'monday.pcap'}")
    shop = {"source": PRODUCTION_PORT, "target": f"{bed.lab.target}:{TARGET_PORT}"}
    rest.ask("/transfers", body={"id": "shop", "settings": shop, "paused": True})
    options = {"captures": [made["id"]], "transfers": ["shop"], "speed": 0.1}
    rest.ask("/replays", body={"id": "monday", "options": options})
    rest.until(lambda: rest.ask("/replays/monday")["progress"]["sessions_live"] > 0)
    assert rest.ask("/replays/monday/cancel", "-X", "POST")["state"] == "cancelled"
    bed.assert_no_session_at_target()
    rest.until(lambda: not rest.ask("/appliance")["aside"])
    probe = rest.ask("/doctor", body={"listen_s": 0.5})
    assert probe["probed"]
    rest.until(lambda: rest.ask("/doctor")["state"] == "done")
    (answer,) = (each for each in rest.ask("/doctor")["findings"] if each["id"] == "answer")
    assert answer["verdict"] in {"ok", "skipped"}, answer
    rest.until(lambda: not rest.ask("/appliance")["aside"])
    before = len(list(bed.target.requests()))
    rest.ask("/transfers/shop/resume", "-X", "POST")
    bed.client(200, seed=9)
    rest.until(lambda: len(list(bed.target.requests())) == before + 200)
    bed.settle()
    assert rest.stop()["turns_sent"] == 200
