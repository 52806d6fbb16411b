"""REST alone, with real traffic: a session from nothing to nothing, and processes that die."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from appliance.demo.accounts import compare
from tests.e2e.api_bed import BROWSERS, OTHER, PORT, REQUESTS, ApiBed, Others, wait_for
from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.bed import Bed

STREAMS = 50
LOAD = 4000


@pytest.fixture
def make_api(make_bed: Callable[..., Bed]) -> Iterator[Callable[[str], ApiBed]]:
    made: list[ApiBed] = []

    def make(command: str) -> ApiBed:
        made.append(ApiBed(make_bed(), command))
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.close()


@pytest.fixture
def api(make_api: Callable[[str], ApiBed]) -> ApiBed:
    return make_api("run")


@pytest.mark.every_copy
def test_a_session_over_rest_from_nothing_to_nothing(api: ApiBed) -> None:
    """n 1, 3, 1, r 10, 100, pause, resume, delete: the target's log agrees; another transfer sees nothing."""
    assert api.get("transfers")["items"] == []
    others = Others(api.bed)
    other = (f"source={PRODUCTION_PORT + 1}", f"target={api.bed.lab.target}:{TARGET_PORT + 1}")
    api.command("transfers", "create", "--id", OTHER, *other)
    with others.browsing():
        wait_for(lambda: all(others.answered))
        changes = phases(api)
        assert_commands_show_it(api)
    wait_for(lambda: not api.get("sessions")["items"])
    for name in ("took_ms", "answered_ms"):
        print(name, "of each change:", [round(change[name], 1) for change in changes])
    counters = api.bed.finish()
    account = compare(others.production.requests(), others.target.requests())
    assert account.equal, account
    assert (account.connections, account.production) == (BROWSERS, sum(others.answered))
    assert counters["end_transfer_removed"] == counters["refused_destination"] == 0


def assert_commands_show_it(api: ApiBed) -> None:
    """While only the other transfer's connections are there."""
    assert api.command("sessions", "--transfer", OTHER).count("established") == BROWSERS
    found = json.loads(api.command("sessions", "--json"))["items"]
    assert found[0]["client"] in api.command("sessions", found[0]["id"])
    assert OTHER in api.command("latency")
    looks = [json.loads(line) for line in api.command("top", "--json", "--count", "2").splitlines()]
    turns = [look["data"]["transfers"][OTHER]["turns_sent"] for look in looks]
    assert turns[0] < turns[1]
    shown = api.command("top", "--count", "2")
    assert OTHER in shown
    assert "running" in shown


def phases(api: ApiBed) -> list[dict[str, Any]]:
    """The changes, each with the traffic after it."""
    changes = [api.tell("POST", json=api.transfer())]
    assert api.phase(1) == (REQUESTS, REQUESTS)
    for seed, multiplier in ((2, 3), (3, 1)):
        changes.append(api.tell("PATCH", "/shop", json={"multiplier": multiplier}))
        assert api.phase(seed) == (multiplier * REQUESTS,) * 2
    changes.append(api.tell("PATCH", "/shop", json={"sample_percent": 10}))
    got, turns = api.phase(4)
    assert got == turns < REQUESTS
    changes.append(api.tell("PATCH", "/shop", json={"sample_percent": 100}))
    assert api.phase(5) == (REQUESTS, REQUESTS)
    changes.append(api.tell("POST", "/shop/pause"))
    assert api.phase(6) == (0, 0)
    changes.append(api.tell("POST", "/shop/resume"))
    assert api.phase(7) == (REQUESTS, REQUESTS)
    changes.append(api.tell("DELETE", "/shop"))
    before = api.at_target()
    api.bed.client(REQUESTS, seed=8)
    assert [each["id"] for each in api.get("transfers")["items"]] == [OTHER]
    api.bed.target.stop()
    assert api.at_target() == before
    return changes


@contextmanager
def load(api: ApiBed) -> Iterator[subprocess.Popen[bytes]]:
    """Clients that go on for a while, and are all answered."""
    argv = api.bed.client_argv(LOAD, parallel=40, pause=0.01)
    client = api.bed.lab.exec("client", argv, stdout=subprocess.PIPE)
    try:
        yield client
        said, _ = client.communicate(timeout=60)
        assert json.loads(said)["answered"] == LOAD
    finally:
        client.kill()
        client.wait()


@pytest.mark.every_copy
def test_a_killed_api_is_back_and_replay_does_not_notice(api: ApiBed) -> None:
    api.tell("POST", json=api.transfer())
    with load(api) as client:
        wait_for(lambda: api.counted("turns_sent") > 0)
        api.kill_api()
        assert api.counted("turns_sent") > 0
        assert client.poll() is None
    api.settle()
    assert api.counted("turns_sent") == LOAD
    api.bed.finish()
    account = api.bed.accounts()
    assert account.equal, account


def test_a_killed_engine_is_said_to_be_down_and_comes_back_as_answered(
    make_api: Callable[[str], ApiBed],
) -> None:
    api = make_api("engine")
    api.tell("POST", json=api.transfer())
    api.tell("PATCH", "/shop", json={"multiplier": 2})
    api.bed.replay.kill()
    assert api.readiness() == {"api": "up", "engine": "down"}
    said = api.ask("PATCH", "/api/v1/transfers/shop", json={"multiplier": 3})
    assert (said.status_code, said.headers["Retry-After"]) == (503, "1")
    assert "no engine answers" in said.json()["detail"]
    api.bed.replay.start()
    api.wait_until_ready()
    assert api.phase(1) == (2 * REQUESTS,) * 2


@pytest.mark.every_copy
def test_many_readers_of_the_stream_change_nothing_in_the_replay(api: ApiBed) -> None:
    api.tell("POST", json=api.transfer())
    alone = under_load(api)
    path = "/api/v1/counters/stream?interval=0.1"
    argv = (sys.executable, "-m", "tests.e2e.api_streams", str(PORT), path, api.token, str(STREAMS))
    readers = api.bed.lab.exec("appliance", argv, stdout=subprocess.PIPE)
    try:
        watched = under_load(api)
        readers.terminate()
        said, _ = readers.communicate(timeout=20)
    finally:
        readers.kill()
        readers.wait()
    events = json.loads(said)
    assert len(events) == STREAMS
    assert min(events) > 0
    print(
        f"CPU of the worker with {STREAMS} readers to without: {watched / alone:.2f};", sum(events), "events"
    )
    assert api.counted("turns_sent") == 2 * LOAD
    api.bed.finish()
    account = api.bed.accounts()
    assert (account.missing, account.unexpected, account.target) == (0, 0, 2 * LOAD)


def under_load(api: ApiBed) -> float:
    """The workers' CPU time for a load."""
    before = worker_seconds(api)
    with load(api):
        pass
    api.settle()
    return worker_seconds(api) - before


def worker_seconds(api: ApiBed) -> float:
    return sum(float(each["cpu_s"]) for each in api.get("workers")["items"])
