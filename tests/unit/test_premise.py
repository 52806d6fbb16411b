"""What counts as evidence that frames were lost before the engine."""

from typing import Any

import pytest

from tests.e2e import conftest
from tests.e2e.bed import Bed
from tests.e2e.premise import verdict, waited_s


@pytest.mark.parametrize(
    ("dropped", "lost", "waited", "evidence"),
    [
        (0, 0, 9.0, ""),
        (0, 500, 0.0, ""),  # the engine was too slow, with a CPU of its own
        (0, 500, 0.3, "500 frames found a full ring, whose worker waited 0.30 s for its CPU"),
        (7, 500, 0.0, "the switch dropped 7 copies"),
    ],
)
def test_a_full_ring_counts_only_where_its_worker_had_to_wait(dropped, lost, waited, evidence):
    assert verdict(dropped, lost, waited) == evidence


def test_waiting_is_that_of_the_worker_that_waited_most(tmp_path):
    for task, name, waited in ((1, "python", 9e9), (2, "worker-0", 2e8), (3, "worker-1", 7e8)):
        folder = tmp_path / "task" / str(task)
        folder.mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        (folder / "schedstat").write_text(f"5000000000 {waited:.0f} 12\n")
    assert waited_s(tmp_path) == 0.7
    assert waited_s(tmp_path / "gone") == 0


class Marked:
    def __init__(self, *, marked):
        self.marked = marked

    def get_closest_marker(self, name):
        return name if self.marked and name == "every_copy" else None


class OpenBed:
    def __init__(self, evidence):
        self.copies = self
        self.evidence = lambda: evidence


def outcome(monkeypatch, evidence, error, *, marked=True):
    monkeypatch.setattr(Bed, "open", [OpenBed(""), OpenBed(evidence)])
    test: Any = Marked(marked=marked)
    call = conftest.pytest_pyfunc_call(test)
    next(call)
    call.throw(error)


def test_a_marked_test_without_its_premise_says_so(monkeypatch):
    with pytest.raises(pytest.skip.Exception, match=r"7 copies\. Otherwise it would have failed: 1 == 2"):
        outcome(monkeypatch, "the switch dropped 7 copies", AssertionError("1 == 2\nmore"))


@pytest.mark.parametrize(
    ("evidence", "error", "marked"),
    [
        ("", AssertionError(), True),
        ("the switch dropped 7 copies", AssertionError(), False),
        ("the switch dropped 7 copies", OSError(), True),
    ],
)
def test_any_other_failure_is_one(monkeypatch, evidence, error, marked):
    with pytest.raises(type(error)):
        outcome(monkeypatch, evidence, error, marked=marked)
