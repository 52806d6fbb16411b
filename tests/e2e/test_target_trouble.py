"""A target that refuses, is silent, slow or closes early: production does not notice, sessions end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.bed import HERE, TARGET_PORT, ends, nonzero

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.bed import Bed

REQUESTS = 600
SHORT = {"response_timeout_s": 1.5, "syn_tries": 2, "tries": 3}
NORMAL_P99_MS = 150.0  # of production, on two busy cores; alone it is about 10
GROWTH_LIMIT_KIB = 4096

DROP_ALL = (
    "table inet xe { chain input { type filter hook input priority 0; "
    "iifname target0 tcp dport 8080 drop; }; }"
)


@contextlib.contextmanager
def odd_server(bed: Bed, mode: str) -> Iterator[Path]:
    """Run the misbehaving target; the file to which it writes the ids that it saw."""
    seen = bed.directory / "seen"
    argv = (sys.executable, str(HERE / "odd_server.py"), mode, str(bed.lab.target), str(TARGET_PORT))
    with seen.open("wb") as output:
        server = bed.lab.exec("target", argv, stdout=output)
    try:
        while "listening" not in seen.read_text():
            assert server.poll() is None
            time.sleep(0.02)
        yield seen
    finally:
        server.kill()
        server.wait()


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


def resident_kib(bed: Bed) -> int:
    """Memory of the engine's process."""
    assert bed.replay.process is not None
    status = Path(f"/proc/{bed.replay.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def assert_production_untouched(report: dict[str, Any]) -> None:
    assert report["answered"] == report["requests"], report
    assert report["p99_ms"] < NORMAL_P99_MS, report


def reasons(counters: dict[str, Any]) -> set[str]:
    """Why sessions ended, but for a client that took the same port again before that."""
    return set(ends(counters)) - {"superseded"}


def talk_and_finish(bed: Bed, requests: int = REQUESTS) -> dict[str, Any]:
    """Let the client speak; production must be as ever; stop the appliance. Its counters."""
    report = bed.client(requests, pause=0.005)
    assert_production_untouched(report)
    bed.settle()
    bed.assert_no_session_at_target()
    counters = bed.finish()
    assert sum(ends(counters).values()) == counters["sessions_opened"] == report["connections"], nonzero(
        counters
    )
    return counters


def test_refusing_target_ends_each_session_as_refused(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(serve=False)
    bed.start()
    counters = talk_and_finish(bed)
    assert reasons(counters) == {"target_refused"}


def test_target_that_drops_everything_ends_each_session_as_unresponsive(bed: Bed) -> None:
    bed.lab.run("target", ("nft", DROP_ALL))
    try:
        bed.start(timing=SHORT)
        counters = talk_and_finish(bed)
    finally:
        bed.lab.run("target", ("nft", "flush", "ruleset"))
    assert reasons(counters) == {"target_unresponsive"}
    assert counters["sessions_established"] == 0


def test_frozen_target_ends_sessions_as_silent(bed: Bed) -> None:
    bed.start(timing=SHORT)
    with frozen(bed.target.workers()):
        report = bed.client(REQUESTS, pause=0.005)
        bed.settle()
    assert_production_untouched(report)
    bed.assert_no_session_at_target()
    counters = bed.finish()
    assert ends(counters).get("target_silent", 0) > 0
    # A large body fills the frozen server's buffers: then it is the window that never opens.
    assert reasons(counters) <= {"target_silent", "target_unresponsive"}, nonzero(counters)


def test_slow_target_gets_every_request_in_order_and_does_not_slow_production(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(serve=False)
    with odd_server(bed, "slow") as seen:
        bed.start()
        counters = talk_and_finish(bed)
        served = seen.read_text().split()[1:]
    assert ends(counters) == {"complete": counters["sessions_opened"]}
    assert len(served) == len(set(served)) == REQUESTS


@pytest.mark.parametrize(
    ("mode", "possible"),
    [
        ("early", {"target_closed", "complete"}),
        ("partial", {"target_closed", "complete"}),
        ("reset", {"target_reset"}),
    ],
)
def test_target_that_ends_early_ends_its_sessions_and_no_more(
    make_bed: Callable[..., Bed], mode: str, possible: set[str]
) -> None:
    bed = make_bed(serve=False)
    with odd_server(bed, mode):
        bed.start()
        counters = talk_and_finish(bed)
    assert reasons(counters) <= possible, nonzero(counters)


def test_memory_does_not_grow_while_the_target_is_in_trouble(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(serve=False)
    bed.start(timing=SHORT)
    sizes: list[int] = []
    for seed in range(6):
        with odd_server(bed, "reset") if seed % 2 else contextlib.nullcontext():
            bed.client(REQUESTS, seed=seed)
            bed.settle()
        sizes.append(resident_kib(bed))
    assert bed.replay.counters()["buffers_used"] == 0
    assert bed.replay.counters()["request_bytes_pending"] == 0
    assert sizes[-1] - sizes[1] < GROWTH_LIMIT_KIB, sizes


def test_target_that_comes_back_is_used_again(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed(serve=False)
    bed.start()
    bed.client(200, seed=1)
    bed.settle()
    refused = bed.replay.counters()["end_target_refused"]
    bed.target.start()
    bed.client(200, seed=2)
    bed.settle()
    counters = bed.finish()
    assert refused > 0
    assert counters["end_target_refused"] == refused
    bed.target.stop()
    assert {request.id for request in bed.target.requests()} == {f"2-{number}" for number in range(200)}
