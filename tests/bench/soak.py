"""``python -m tests.bench.soak --minutes 20``: half the load that the engine takes, for long.

Connections come, make eight requests and go; no more frames are under way at a time than the rings hold, so
that none is lost while the machine is busy with something else. Nothing may go wrong then, so every check is
strict: all connections end in good order, the account closes whenever it is looked at, the process's own
memory does not grow (its trend over the second half), and when nothing more is mirrored, everything that was
taken has been given back.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.engine.ledger import equations
from appliance.engine.stats import GAUGES
from appliance.lab import Lab
from tests.bench import lab as rates
from tests.bench import load, native, programs
from tests.bench.native import BenchError
from tests.bench.programs import Load

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.bench.programs import Engine, Program, Result

PREFIX = "xs"  # of its lab: it runs for long, maybe beside other benchmarks
PART = 0.5
SETTLED = 0.5  # of the time
NOISE = 128 << 10  # bytes: what Python's and the C library's allocators may still go up and down by
LOOKS_A_MINUTE = 12
TRIES, TRY_S = 200, 0.001  # a look that comes in the midst of a turn does not add up; not all of them do
IDLE_S = 5.0
FORGETTING_S = 3 * IDLE_S
LAST_WORDS = {"drop_mirror_connection_ended", "drop_mirror_no_connection"}  # the latter: long after
HELD = ("connections_live", "sessions_live", "request_bytes_pending", "buffers_used", "objects_held")


@dataclass(frozen=True)
class Memory:
    """Bytes of a process that are in memory."""

    pools: int  # the line's pools and tables
    rest: int  # everything else, shared libraries and rings included


@dataclass(frozen=True)
class Moment:
    """What the engine held at one time."""

    minutes: float
    memory: Memory
    counters: dict[str, int]


def main() -> int:
    """Exit status 0 if nothing grew, leaked or was lost track of."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    minutes = parser.parse_args().minutes
    native.build("lab")
    churn = {"connections": load.AT_A_TIME, "visit": load.VISIT, "window": rates.WINDOW.window}
    with Lab(PREFIX, direction="client") as lab:
        rate = round(PART * load.best_of(lab, Load(**churn), load.SECONDS, load.ROUNDS))
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
        rest = consistent(engine.stats)
        ended = engine.finish()
        counted = target.finish()
    print(f"{made['frames']:,} frames were mirrored; ends {ended['ends']}; drops {ended['drops']}")
    check_memory(moments)
    check_replay(made, ended)
    check_counters(moments[0].counters, rest, counted["requests"])
    check_given_back(rest)


def watch(engine: Engine, generator: Program, minutes: float) -> list[Moment]:
    """Look now and then. Raises BenchError if what is seen cannot be."""
    start = time.monotonic()
    moments: list[Moment] = []
    looks = max(10, round(minutes * LOOKS_A_MINUTE))
    for number in range(1, looks + 1):
        time.sleep(max(0.0, start + minutes * 60 * number / looks - time.monotonic()))
        if generator.process.poll() is not None:
            raise generator.failure()
        passed = (time.monotonic() - start) / 60
        moment = Moment(passed, memory(engine.process.pid), consistent(engine.stats))
        check_order(moments[-1:], moment)
        moments.append(moment)
        if number % (looks // 10) == 0:
            print(words(moment), flush=True)
    return moments


def words(moment: Moment) -> str:
    """One line of the protocol."""
    counters = moment.counters
    return (
        f"{moment.minutes:6.1f} min  pools {moment.memory.pools / (1 << 20):6.1f} MiB"
        f"  rest {moment.memory.rest / (1 << 20):7.2f} MiB  {counters['connections_live']:,} connections"
        f"  {counters['turns_sent']:,} requests"
    )


def memory(pid: int) -> Memory:
    """Pools and tables are the mappings that ask for huge pages."""
    pools = rest = resident = 0
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Rss":
            resident = int(value.split()[0]) << 10
        elif name == "VmFlags" and "hg" in value.split():
            pools += resident
        elif name == "VmFlags":
            rest += resident
    return Memory(pools, rest)


def consistent(stats: Path) -> dict[str, int]:
    """The counters at a moment at which they add up. Raises BenchError if there is none."""
    for _ in range(TRIES):
        counters = programs.counters(stats)
        wrong = {name: one for name, one in equations(counters).items() if not one.closes}
        if not wrong:
            return counters
        time.sleep(TRY_S)
    raise BenchError(f"the account does not close at any of {TRIES} looks; at the last: {wrong}")


def check_order(before: Iterable[Moment], now: Moment) -> None:
    """Raises BenchError if a counter has gone back."""
    for last in before:
        back = [
            name for name, value in now.counters.items() if name not in GAUGES and value < last.counters[name]
        ]
        if back:
            raise BenchError(f"these counters have gone back: {back}")


def check_replay(made: Result, ended: Result) -> None:
    """Raises BenchError if a frame was lost, or a session ended in bad order.

    The generator stops in the midst of its last connections; they are idle until they end.
    """
    if made["lost"] or ended["lost_at_sockets"]:
        raise BenchError(f"frames were lost: {made} {ended}")
    if set(ended["ends"]) - {"complete", "idle"} or ended["ends"]["idle"] > load.AT_A_TIME:
        raise BenchError(f"not all sessions ended in good order: {ended['ends']}")


def check_counters(first: dict[str, int], last: dict[str, int], at_target: int) -> None:
    """Raises BenchError if the counters do not tell what has been.

    The first connections are seen in mid-stream, and refused; ``first`` is after that. Since then a frame is
    of no use only if it is a client's last acknowledgement, at most one for each connection.
    """
    grown = {name: value - first[name] for name, value in last.items()}
    drops = programs.nonzero({name: value for name, value in grown.items() if name.startswith("drop_")})
    if set(drops) - LAST_WORDS or sum(drops.values()) > grown["connections_closed"]:
        raise BenchError(f"frames were not used: {drops} of {grown['connections_closed']} connections")
    if at_target != last["sent_payload"] or last["answer_bytes"] != programs.ANSWER * last["turns_sent"]:
        raise BenchError(f"not every request was answered: {at_target} at the target, {last}")


def growth(minutes: Sequence[float], values: Sequence[int]) -> float:
    """How much values have grown, from the first to the last, by their trend."""
    return statistics.linear_regression(minutes, values).slope * (minutes[-1] - minutes[0])


def check_memory(moments: Sequence[Moment]) -> None:
    """Raises BenchError if the process has grown since the beginning was over."""
    settled = moments[int(len(moments) * SETTLED) :]
    minutes = [moment.minutes for moment in settled]
    grown = growth(minutes, [moment.memory.rest for moment in settled])
    print(f"memory besides the pools, second half: {grown / 1024:+.0f} KiB by its trend")
    if grown > NOISE:
        raise BenchError(
            f"memory grows: by {grown:,.0f} bytes from minute {minutes[0]:.1f} to {minutes[-1]:.1f}, and"
            f" {NOISE:,} would be noise"
        )


def check_given_back(counters: dict[str, int]) -> None:
    """Raises BenchError if something is held after nothing was mirrored for long enough."""
    left = {name: counters[name] for name in HELD if counters[name]}
    if left:
        raise BenchError(f"{FORGETTING_S:.0f} s after the last frame these are still held: {left}")


if __name__ == "__main__":
    sys.exit(main())
