"""Hypothesis over the simulator: a seed, and each of its parameters as drawn or simpler.

A failure shrinks to the smallest seed and the simplest parameters that still fail. Its text is the command
that repeats it.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PROGRAM = ROOT / "build" / "sim" / "sim"
MOST_SEED = 1_000_000
ENVIRONMENT = os.environ | {"ASAN_OPTIONS": "quarantine_size_mb=16:detect_stack_use_after_return=0"}

# Values between the simplest and the drawn one mean something else, or nothing.
KINDS = frozenset({"ending", "client_scale", "target_scale", "misbehaviour", "pool", "workers"})

SIMPLEST = {
    name: int(value)
    for name, value in re.findall(
        r"^PARAMETER\((\w+), (\d+),", (HERE / "scenario.def").read_text(), re.MULTILINE
    )
}


@dataclass(frozen=True)
class Scenario:
    """What is run: a seed, and the parameters that are not as the seed draws them."""

    seed: int
    settings: tuple[tuple[str, int], ...]

    @property
    def arguments(self) -> list[str]:
        """The simulator's."""
        pairs = [("--set", f"{name}={value}") for name, value in self.settings]
        return [word for pair in [("--seed", str(self.seed)), *pairs] for word in pair]

    def complexity(self) -> int:
        """How many parameters are not as simple as they can be."""
        values = SIMPLEST | drawn(self.seed) | dict(self.settings)
        return sum(values[name] != simplest for name, simplest in SIMPLEST.items())

    def __repr__(self) -> str:
        """The command that repeats it."""
        return " ".join(["build/sim/sim", *self.arguments, "--trace"])


def run(program: Path, scenario: Scenario) -> subprocess.CompletedProcess[str]:
    """Run it once; it has passed if the status is 0."""
    argv = [str(program), *scenario.arguments]
    return subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@functools.cache
def drawn(seed: int) -> dict[str, int]:
    """The parameters that the seed makes other than simplest."""
    argv = [str(PROGRAM), "--seed", str(seed), "--draw"]
    result = subprocess.run(argv, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", result.stdout)}


def _between(simplest: int, value: int) -> st.SearchStrategy[int]:
    """From the simplest to the drawn value; nearer to the simplest is simpler."""
    sign = 1 if value > simplest else -1
    return st.integers(0, abs(value - simplest)).map(lambda distance: simplest + sign * distance)


@st.composite
def scenarios(draw: DrawFn) -> Scenario:
    """Any seed, simplified in any way."""
    seed = draw(st.integers(1, MOST_SEED))
    settings = {}
    for name, value in drawn(seed).items():
        simplest = SIMPLEST[name]
        as_drawn = draw(st.booleans())
        choice = value if as_drawn else simplest
        if as_drawn and name not in KINDS:
            choice = draw(_between(simplest, value))
        if choice != value:
            settings[name] = choice
    return Scenario(seed, tuple(settings.items()))
