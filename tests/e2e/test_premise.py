"""Copies that never reach the engine are noticed where they are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.bed import Bed
    from tests.e2e.hard_bed import HardBed

pytest_plugins = ("tests.e2e.hard_bed",)

NARROW = "qdisc replace dev span0 root tbf rate 1mbit burst 4k limit 4k"


def test_copies_that_the_switch_drops_are_evidence(make_hard_bed: Callable[..., HardBed]) -> None:
    bed = make_hard_bed()
    bed.rewired = True
    bed.lab.run("switch", ("tc", *NARROW.split()))
    bed.start()
    bed.client(200)
    assert bed.copies.evidence().startswith("the switch dropped ")


def test_where_nothing_is_lost_there_is_no_evidence(bed: Bed) -> None:
    bed.start()
    bed.client(200)
    bed.settle()
    assert bed.copies.evidence() == ""
