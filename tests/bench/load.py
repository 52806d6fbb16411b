"""The engine in the lab at rates that others choose: what it adds to a request's way, and overload.

Both begin with the rate that it takes when the generator waits for it (``best``), and go on with parts and
multiples of that, sent whether they are taken or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.lab import Lab
from tests.bench import lab as rates
from tests.bench import native
from tests.bench.programs import Load

if TYPE_CHECKING:
    from tests.bench.programs import Kind, Result

PARTS = (0.1, 0.5, 0.9)
FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0)
AT_A_TIME, VISIT = 4096, 8  # connections, and requests of each
SECONDS = 3.0
KINDS: tuple[Kind, ...] = ("answered", "engine")


def latency(*, quick: bool) -> Result:
    """From the moment at which a request was made for the mirror until it is at the target."""
    native.build("lab")
    seconds = 1.0 if quick else SECONDS
    with Lab(rates.PREFIX, direction="client") as lab:
        best = rates.run(lab, "engine", rates.WINDOW, seconds)
        rate = best["offered_per_second"]
        runs = [
            {"part": part, **rates.run(lab, kind, Load(rate=round(part * rate)), seconds, promptly=True)}
            for part in PARTS
            for kind in KINDS
        ]
    return {"best": best, "runs": runs}


def overload(*, quick: bool) -> Result:
    """Connections that come, make some requests and go, more and more of them."""
    native.build("lab")
    seconds = 1.0 if quick else SECONDS
    with Lab(rates.PREFIX, direction="client") as lab:
        best = rates.run(lab, "engine", Load(window=1024, connections=AT_A_TIME, visit=VISIT), seconds)
        rate = best["offered_per_second"]
        runs = [
            {
                "factor": factor,
                **rates.run(
                    lab,
                    "engine",
                    Load(rate=round(factor * rate), connections=AT_A_TIME, visit=VISIT),
                    seconds,
                ),
            }
            for factor in FACTORS
        ]
    most = max(run["requests_per_second"] for run in runs)
    for result in runs:
        result["of_most"] = round(result["requests_per_second"] / most, 3)
        result["complete"] = complete(result["ended"])
        result["complete_with_onset"] = complete(result["ends"])
    return {"best": best, "runs": runs}


def complete(ends: dict[str, int]) -> float:
    """The part of the sessions that ended before the engine was stopped that ended in good order."""
    ended = sum(count for end, count in ends.items() if end != "stopped")
    return round(ends.get("complete", 0) / ended, 4) if ended else 0.0
