"""``python -m tests.bench.soak --minutes 20``: half the load that the engine takes, for long.

Connections come, make eight requests and go. Meanwhile the engine's memory must not grow; when
nothing more is mirrored, everything that was taken must be given back, and the ledger must close.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.lab import Lab
from tests.bench import lab as rates
from tests.bench import load, native, programs
from tests.bench.native import BenchError
from tests.bench.programs import Load

if TYPE_CHECKING:
    from tests.bench.programs import Engine, Program

PART = 0.5
SETTLED = 0.5  # of the time: from here on memory must not grow
MOST_GROWTH = (
    0.1  # where the machine stalls for a moment more is under way, and pools are larger from then on
)
SAMPLES = 60
IDLE_S = 5.0
FORGETTING_S = 3 * IDLE_S
GAUGES = ("connections_live", "sessions_live", "request_bytes_pending", "buffers_used")


@dataclass(frozen=True)
class Moment:
    """What the engine held at one time."""

    minutes: float
    resident: int  # bytes
    counters: dict[str, int]


def main() -> int:
    """Exit status 0 if nothing grew, leaked or was lost track of."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    minutes = parser.parse_args().minutes
    native.build("lab")
    churn = {"connections": load.AT_A_TIME, "visit": load.VISIT}
    with Lab(rates.PREFIX, direction="client") as lab:
        best = rates.run(lab, "engine", Load(window=1024, **churn), load.SECONDS)
        rate = round(PART * best["offered_per_second"])
        print(f"{rate:,} frames/s for {minutes:g} minutes", flush=True)
        try:
            soak(lab, Load(rate=rate, seconds=round(minutes * 60) + 60, **churn), minutes)
        except BenchError as error:
            print(f"soak: {error}", file=sys.stderr)
            return 1
    return 0


def soak(lab: Lab, traffic: Load, minutes: float) -> None:
    """Raises BenchError with what is wrong."""
    with (
        tempfile.TemporaryDirectory(prefix="xdpcopy-soak-") as name,
        programs.running_target(lab, "answer") as target,
        programs.running_engine(lab, Path(name), idle_timeout_s=IDLE_S) as engine,
    ):
        programs.prefer(engine.process)
        with programs.running_generator(lab, Path(name), engine.stats, traffic) as generator:
            moments = watch(engine, generator, minutes)
            made = generator.finish()
        programs.wait_until_taken(engine)
        time.sleep(FORGETTING_S)
        left = {gauge: programs.counters(engine.stats)[gauge] for gauge in GAUGES}
        ended = engine.finish()
        target.finish()
    lost = f"{ended['lost_at_sockets']:,} of {made['frames']:,} frames were lost at the ring"
    print(f"{lost}; ends {ended['ends']}; drops {ended['drops']}")
    if any(left.values()):
        raise BenchError(f"{FORGETTING_S:.0f} s after the last frame these are still held: {left}")
    check_memory(moments)


def watch(engine: Engine, generator: Program, minutes: float) -> list[Moment]:
    """Look now and then."""
    start = time.monotonic()
    moments: list[Moment] = []
    for number in range(1, SAMPLES + 1):
        time.sleep(max(0.0, start + minutes * 60 * number / SAMPLES - time.monotonic()))
        if generator.process.poll() is not None:
            raise generator.failure()
        passed = (time.monotonic() - start) / 60
        moment = Moment(passed, resident(engine.process.pid), programs.counters(engine.stats))
        moments.append(moment)
        live, replayed = moment.counters["connections_live"], moment.counters["turns_sent"]
        if number % (SAMPLES // 10) == 0:
            print(
                f"{passed:6.1f} min  {moment.resident / (1 << 20):7.1f} MiB  {live:,} connections  "
                f"{replayed:,} requests",
                flush=True,
            )
    return moments


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check_memory(moments: list[Moment]) -> None:
    """Raises BenchError if memory has grown since the beginning was over."""
    settled, last = moments[int(len(moments) * SETTLED)], moments[-1]
    if last.resident > settled.resident * (1 + MOST_GROWTH):
        raise BenchError(
            f"memory has grown from {settled.resident:,} bytes after {settled.minutes:.1f} minutes "
            f"to {last.resident:,} after {last.minutes:.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
