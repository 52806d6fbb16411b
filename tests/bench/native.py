"""The benchmark programs in C: compiled from the real sources, run on one CPU, their JSON read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "bench"
BUILD_TIMEOUT_S = 300.0
RUN_TIMEOUT_S = 180.0


class BenchError(Exception):
    """A benchmark could not be run, or did not do what it was to measure; the message says what."""


def build(part: str) -> None:
    """Compile what a part runs. Raises BenchError with the compiler's words."""
    command = ["make", "--silent", "-j2", "-C", str(HERE), f"OUT={BUILD}", part]
    done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
    if done.returncode:
        raise BenchError(f"the benchmark programs cannot be compiled:\n{done.stderr.strip()}")


def last_cpu() -> int:
    """The CPU that is measured on: the last one, since interrupts and shells prefer the first."""
    return max(os.sched_getaffinity(0))


def run(program: str, **options: int) -> Any:
    """Run a program to its end. Raises BenchError with what it said if it fails."""
    argv = ["taskset", "--cpu-list", str(last_cpu()), str(BUILD / program)]
    argv += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{program} {options} takes longer than {RUN_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise BenchError(f"{program} {options}: {done.stderr.strip() or f'exit {done.returncode}'}")
    return json.loads(done.stdout)
