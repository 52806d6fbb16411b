"""The engine in the lab at rates that others choose: what it adds to a request's way, and overload.

Both begin with the rate that it takes when the generator waits for it (``best``), and go on with parts and
multiples of that, sent evenly, whether they are taken or not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.lab import Lab
from tests.bench import lab as rates
from tests.bench import native
from tests.bench.programs import Load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.programs import Kind, Result

PARTS = (0.1, 0.5, 0.9)
FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)
AT_A_TIME, VISIT = 4096, 8  # connections, and requests of each
SECONDS, ROUNDS = 2.0, 5  # by turns: the speed of a machine changes from second to second
RATES = ("offered_per_second", "requests_per_second", "share_of_cpu")
KINDS: tuple[Kind, ...] = ("answered", "engine")


def latency(*, quick: bool) -> Result:
    """From the moment at which a request was made for the mirror until it is at the target."""
    native.build("lab")
    seconds, rounds = (1.0, 1) if quick else (SECONDS, ROUNDS)
    with Lab(rates.PREFIX, direction="client") as lab:
        best = best_of(lab, rates.WINDOW, seconds, rounds)
        runs = [
            {"part": part, **rates.run(lab, kind, Load(rate=round(part * best)), seconds, promptly=True)}
            for _ in range(rounds)
            for part in PARTS
            for kind in KINDS
        ]
    rows: list[Result] = []
    for part in PARTS:
        for kind in KINDS:
            same = [run for run in runs if (run["part"], run["kind"]) == (part, kind)]
            rows.append({"part": part, "kind": kind, **latency_of(same)})
    return {"best": best, "runs": runs, "rows": rows}


def latency_of(runs: Sequence[Result]) -> Result:
    """The middle and the range of the percentiles; frames lost at the ring in all runs."""
    lost = sum(run["lost_at_sockets"] if run["kind"] == "engine" else run["ring_full"] for run in runs)
    offered = rates.spread([run["offered_per_second"] for run in runs])
    percentiles = {
        name: rates.spread([run["latency"][name] / 1000 for run in runs]) for name in rates.PERCENTILES
    }
    return {"offered_per_second": offered, "lost": lost, **percentiles}


def overload(*, quick: bool) -> Result:
    """Connections that come, make some requests and go, more and more of them."""
    native.build("lab")
    seconds, rounds = (1.0, 1) if quick else (SECONDS, ROUNDS)
    churn = Load(connections=AT_A_TIME, visit=VISIT)
    with Lab(rates.PREFIX, direction="client") as lab:
        best = best_of(lab, replace(churn, window=rates.WINDOW.window), seconds, rounds)
        runs = [
            {"factor": factor, **rates.run(lab, "engine", replace(churn, rate=round(factor * best)), seconds)}
            for _ in range(rounds)
            for factor in FACTORS
        ]
    rows = [
        {"factor": factor, **overload_of([run for run in runs if run["factor"] == factor])}
        for factor in FACTORS
    ]
    most = max(row["requests_per_second"]["median"] for row in rows)
    for row in rows:
        row["of_most"] = round(row["requests_per_second"]["median"] / most, 3)
    return {"best": best, "runs": runs, "rows": rows}


def overload_of(runs: Sequence[Result]) -> Result:
    """The middle and the range of rates; what happened to connections and frames in all runs."""
    return {
        **{name: rates.spread([run[name] for run in runs]) for name in RATES},
        **{name: sum(run[name] for run in runs) for name in ("shed", "lost_at_sockets")},
        "kept_out": sum(run["drops"]["mirror"].get("overloaded", 0) for run in runs),
        "complete": complete([run["ended"] for run in runs]),
        "complete_with_onset": complete([run["ends"] for run in runs]),
    }


def best_of(lab: Lab, load: Load, seconds: float, rounds: int) -> float:
    """Frames a second that the engine takes when the generator waits for it: the middle of some runs."""
    return rates.spread(
        [rates.run(lab, "engine", load, seconds)["offered_per_second"] for _ in range(rounds)]
    )["median"]


def complete(counts: Sequence[dict[str, int]]) -> float:
    """The part of the sessions that ended before the engine was stopped that ended in good order."""
    ended = sum(count for ends in counts for end, count in ends.items() if end != "stopped")
    return round(sum(ends.get("complete", 0) for ends in counts) / ended, 4) if ended else 0.0
