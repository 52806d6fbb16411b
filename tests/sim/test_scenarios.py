"""Hypothesis looks for scenarios that fail, and makes those that it finds small."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from tests.sim.scenarios import HERE, PROGRAM, ROOT, Scenario, run, scenarios

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = 150
SEARCH = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=EXAMPLES,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
MUTANT = "the FIN does not wait"


def make(*words: str) -> None:
    """Build a simulator; what it says is shown if it fails."""
    result = subprocess.run(
        ["make", "-s", "-C", str(HERE), "build", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module", autouse=True)
def _simulator() -> None:
    make()


@pytest.fixture(scope="module")
def mutant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulator around a line with one of the mistakes of mutants.txt."""
    work = tmp_path_factory.mktemp("mutant")
    lines = (HERE / "mutants.txt").read_text().splitlines()
    _, file, edit = next(line.split("|", 2) for line in lines if line.startswith(f"{MUTANT}|"))
    shutil.copytree(ROOT / "dataplane", work / "dataplane")
    shutil.copytree(PROGRAM.parent, work / "sim", ignore=shutil.ignore_patterns("sim", "mutant"))
    subprocess.run(["sed", "-i", edit, str(work / "dataplane" / "src" / file)], check=True)
    make(f"DATAPLANE={work / 'dataplane'}", f"OUT={work / 'sim'}", "CFLAGS_EXTRA=-Wno-error")
    return work / "sim" / "sim"


@SEARCH
@given(scenarios())
def test_no_scenario_fails(scenario: Scenario) -> None:
    result = run(PROGRAM, scenario)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}again: {scenario!r}"


def test_failure_is_shrunk_to_a_small_scenario(mutant: Path) -> None:
    def fails(scenario: Scenario) -> bool:
        return run(mutant, scenario).returncode != 0

    smallest = find(scenarios(), fails, settings=SEARCH)
    print(f"again: {smallest!r}")
    assert fails(smallest)
    assert run(PROGRAM, smallest).returncode == 0
    assert smallest.complexity() <= 6
