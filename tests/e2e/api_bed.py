"""The bed with ``xdpcopy run`` and an api: everything is asked and told over REST, as from the appliance."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml
from pyroute2 import netns

from api.tokens import Role, Tokens
from appliance.demo.nginx import Nginx
from appliance.demo.process import PROGRAM
from tests.e2e.bed import PRODUCTION_PORT, RING_SIZE, TARGET_PORT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.e2e.bed import Bed

REQUESTS = 600
SHOP = "shop"
OTHER = "other"
PORT = 8600
URL = f"http://127.0.0.1:{PORT}"
TRANSFERS = "/api/v1/transfers"
PATIENCE_S = 20.0
STILL_LOOKS = 6
STOP_WITHIN_S = 8.0  # run waits for both processes; the api has a second for its readers
LOOK_S = 0.05
BROWSERS = 4


class ApiBed:
    """An engine without transfers, its api, and a second pair of servers whose transfer nobody touches."""

    def __init__(self, bed: Bed, command: str) -> None:
        """``command``: run, for both processes, or engine, with an api by its side."""
        self.bed = bed
        self.api: subprocess.Popen[bytes] | None = None
        self.config = bed.directory / "xdpcopy.yaml"
        tokens = bed.directory / "tokens.json"
        self.config.write_text(yaml.safe_dump(self._configuration(tokens)))
        self.token = Tokens(tokens).create("end to end", Role.ADMIN)
        bed.stop_within_s = STOP_WITHIN_S
        bed.replay.command = command
        bed.replay.arguments = ("--config", str(self.config))
        self._inside = ThreadPoolExecutor(
            1, initializer=netns.setns, initargs=(bed.lab.namespace("appliance"),)
        )
        self.http = httpx.Client(
            base_url=URL,
            headers={"Authorization": f"Bearer {self.token}"},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=10,
        )
        bed.replay.start()
        if command == "engine":
            self.api = bed.lab.exec("appliance", (*PROGRAM, "api", "--config", str(self.config)))
        self.wait_until_ready()

    def _configuration(self, tokens: Path) -> dict[str, Any]:
        lab, directory = self.bed.lab, self.bed.directory
        return {
            "mirror": [{"device": lab.mirror_device, "ring_size": RING_SIZE}],
            "test": {"device": lab.test_device, "ring_size": RING_SIZE},
            "safety": {"allowed_targets": [f"{lab.target}/32"]},
            "control": {"socket": str(directory / "socket"), "state": str(directory / "state")},
            "api": {"port": PORT, "tokens": str(tokens), "audit": str(directory / "audit.jsonl")},
        }

    def close(self) -> None:
        if self.api is not None:
            self.api.terminate()
            self.api.wait()
        self._inside.shutdown()
        self.http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """One request, from within the appliance's namespace."""
        return self._inside.submit(self.http.request, method, path, **more).result()

    def get(self, path: str, **more: Any) -> Any:
        """What a read answers."""
        said = self.ask("GET", f"/api/v1/{path}", **more)
        assert said.status_code == 200, said.text
        return said.json()

    def tell(self, method: str, path: str = "", **more: Any) -> dict[str, Any]:
        """A change of transfers, which must be done: what is answered, and how long that took."""
        start = time.perf_counter()
        said = self.ask(method, TRANSFERS + path, **more)
        took = 1e3 * (time.perf_counter() - start)
        assert said.status_code in {200, 201}, said.text
        return {**said.json(), "answered_ms": took}

    def command(self, *arguments: str) -> str:
        """What a command prints that asks the api; it must succeed."""
        token = self.bed.directory / "token"
        token.write_text(self.token)
        argv = (*PROGRAM, *arguments, "--api", URL, "--token-file", str(token))
        return self.bed.lab.run("appliance", argv).stdout

    def transfer(self, name: str = SHOP, port: int = PRODUCTION_PORT, target: int = TARGET_PORT) -> Any:
        """The body that makes a transfer."""
        return {"id": name, "settings": {"source": port, "target": f"{self.bed.lab.target}:{target}"}}

    def wait_until_ready(self) -> None:
        """Until the api answers and reaches the engine."""
        wait_for(lambda: self.readiness() == {"api": "up", "engine": "up"})

    def readiness(self) -> Any:
        """What /ready says; empty while nobody answers there."""
        try:
            return self.ask("GET", "/ready").json()
        except httpx.TransportError:
            return {}

    def counted(self, name: str) -> int:
        """A counter of the shop."""
        found: int = self.get("counters")["transfers"][SHOP][name]
        return found

    def at_target(self) -> int:
        return sum(1 for _ in self.bed.target.requests())

    def phase(self, seed: int) -> tuple[int, int]:
        """So many requests to production: how many the target got, and how many xdpcopy says it replayed."""
        before, turns = self.at_target(), self.counted("turns_sent")
        self.bed.client(REQUESTS, seed=seed, parallel=30)
        self.settle()
        turns = self.counted("turns_sent") - turns
        for _ in range(40):  # the server writes its log every half a second
            if self.at_target() - before == turns:
                break
            time.sleep(0.1)
        return self.at_target() - before, turns

    def settle(self) -> None:
        """Until the shop has no session, and nothing new, for a while; others go on."""
        seen: list[object] = []

        def still() -> bool:
            live = self.get("sessions", params={"transfer": SHOP, "limit": 1})["items"]
            seen.append((live, self.counted("turns_sent"), self.counted("sessions_opened")))
            return not live and seen[-STILL_LOOKS:] == [seen[-1]] * STILL_LOOKS

        wait_for(still)

    def process(self, command: str) -> int:
        """The process that ``xdpcopy run`` has started for a command: its id."""
        assert self.bed.replay.process is not None
        pid = self.bed.replay.process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if command in Path(f"/proc/{child}/cmdline").read_text().split("\0"):
                return int(child)
        return 0

    def kill_api(self) -> None:
        """kill -9; returns when another one answers."""
        before = self.process("api")
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: self.process("api") not in {0, before})
        self.wait_until_ready()


class Others:
    """A second production server and a second target, with a few connections that stay open throughout."""

    def __init__(self, bed: Bed) -> None:
        directory = bed.directory
        self.lab = bed.lab
        self.production = Nginx(bed.lab, "production", PRODUCTION_PORT + 1, directory / "production-other")
        self.target = Nginx(bed.lab, "target", TARGET_PORT + 1, directory / "target-other")
        self.answered = [0] * BROWSERS

    @contextmanager
    def browsing(self) -> Iterator[None]:
        """A request on each connection every 50 ms."""
        done = threading.Event()
        with self.production, self.target:
            with ThreadPoolExecutor(
                BROWSERS, initializer=netns.setns, initargs=(self.lab.namespace("client"),)
            ) as pool:
                browsers = [pool.submit(self._browse, number, done) for number in range(BROWSERS)]
                try:
                    yield
                finally:
                    done.set()
            for browser in browsers:
                browser.result()
            time.sleep(1)  # the servers write their logs every half a second

    def _browse(self, number: int, done: threading.Event) -> None:
        with httpx.Client(base_url=f"http://{self.lab.production}:{PRODUCTION_PORT + 1}") as client:
            while not done.wait(LOOK_S):
                said = client.get("/1024", headers={"X-Request-Id": f"{number}-{self.answered[number]}"})
                assert said.status_code == 200
                self.answered[number] += 1


def wait_for(done: Any, seconds: float = PATIENCE_S) -> None:
    """Until it is so; an assertion if that takes too long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, done
        time.sleep(LOOK_S)
