"""What is measured without devices: parse_frame, and the line over memory ports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench import native
from tests.bench.native import BenchError

Result = dict[str, Any]

KEEPALIVE_SESSIONS = (1_000, 10_000, 100_000)
MANY_SESSIONS = 1_000_000
MANY_SESSIONS_MEMORY = 2 << 30  # twice what they take here and in the engine
MIRRORED = ("requests", "client", "both")  # enum mirrored of script.h
CHURN_AT_A_TIME = 50_000
COPIES = (1, 10)  # sessions of each connection, with endpoints of a pool
COPIED_SESSIONS = 10_000  # in all
CHURN_LINGER_MS = 500


def parse(*, quick: bool) -> list[Result]:
    """Nanoseconds of parse_frame by kind of frame."""
    native.build("parse")
    options = {"slices": 5, "slice_frames": 100_000} if quick else {}
    results: list[Result] = native.run("bench_parse", **options)
    return results


def line(*, quick: bool) -> list[Result]:
    """Nanoseconds of the line for each received frame, by number of sessions and what the mirror shows."""
    native.build("line")
    results = [keepalive(sessions, "requests", quick=quick) for sessions in KEEPALIVE_SESSIONS]
    if not quick:
        many = enough_memory()
        sizes = (*KEEPALIVE_SESSIONS, MANY_SESSIONS) if many else KEEPALIVE_SESSIONS
        if many:
            results.append(keepalive(MANY_SESSIONS, "requests", quick=quick))
        results += [keepalive(sessions, "client", quick=quick) for sessions in sizes]
        results.append(keepalive(KEEPALIVE_SESSIONS[1], "both", quick=quick))
    results.append(churn(quick=quick))
    results += [copied(copies, quick=quick) for copies in COPIES]
    results += [churn(copies=copies, quick=quick) for copies in COPIES]
    results += [two_workers(foreign=foreign, quick=quick) for foreign in (False, True)]
    add_bytes_per_session(results)
    return results


def keepalive(sessions: int, mirrored: str, *, quick: bool = False) -> Result:
    """Requests on connections that stay open."""
    bounds = {"slices": 5, "slice_frames": 100_000, "seconds": 2} if quick else {"seconds": 8}
    return named(
        native.run("bench_line", sessions=sessions, mirrored=MIRRORED.index(mirrored), **bounds), "keep-alive"
    )


def two_workers(*, foreign: bool, quick: bool = False) -> Result:
    """One after the other in one thread; ``foreign``: every frame arrives at the one that does not own it."""
    bounds = {"slices": 5, "slice_frames": 100_000, "seconds": 2} if quick else {"seconds": 8}
    bounds |= {"sessions": KEEPALIVE_SESSIONS[1], "mirrored": 0, "workers": 2, "foreign": int(foreign)}
    result = native.run("bench_line", **bounds)
    return named(result, "2 workers, all handed off" if foreign else "2 workers")


def copied(copies: int, *, quick: bool = False) -> Result:
    """Keep-alive, as many sessions in all, but each connection is replayed by several."""
    bounds = {"slices": 5, "slice_frames": 100_000, "seconds": 2} if quick else {"seconds": 8}
    bounds |= {"sessions": COPIED_SESSIONS // copies, "mirrored": 0, "copies": copies}
    return named(native.run("bench_line", **bounds), f"keep-alive, n = {copies}")


def churn(*, copies: int = 0, quick: bool = False) -> Result:
    """Connections that come, make one request, and go; so many at a time in each order of visits."""
    at_a_time, linger = (20_000, 50) if quick else (CHURN_AT_A_TIME, CHURN_LINGER_MS)
    bounds = {"slices": 5, "slice_frames": 100_000} if quick else {}
    bounds |= {"sessions": at_a_time // max(1, copies), "mirrored": MIRRORED.index("client"), "churn": 1}
    bounds |= {"linger_ms": linger, "copies": copies}
    return named(native.run("bench_line", **bounds), f"churn, n = {copies}" if copies else "churn")


def named(result: Result, case: str) -> Result:
    """The result with the name of its case, and what follows from it."""
    rate = result["frames_per_second"] / result["frames_per_request"] * max(1, result["copies"])
    result.update(case=case, mirrored=MIRRORED[result["mirrored"]], requests_per_second=round(rate))
    return result


def add_bytes_per_session(results: list[Result]) -> None:
    """What each further session takes: against the case with the fewest, so that ports do not count."""
    kept = [result for result in results if result["case"] == "keep-alive"]
    least = min(kept, key=lambda result: result["sessions"])
    for result in kept:
        more = result["sessions"] - least["sessions"]
        if more:
            result["bytes_per_session"] = round((result["resident_bytes"] - least["resident_bytes"]) / more)


def enough_memory() -> bool:
    """Whether the largest case fits into memory that is free."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    free = next((line for line in lines if line.startswith("MemAvailable:")), None)
    if free is None:
        raise BenchError("/proc/meminfo does not say MemAvailable")
    return int(free.split()[1]) * 1024 >= MANY_SESSIONS_MEMORY
