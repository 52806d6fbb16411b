"""Fixtures of the end-to-end tests: they need root, and build their lab under a prefix of their own."""

from __future__ import annotations

import fcntl
import os
import shutil
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from appliance.lab import Lab
from appliance.lab.lab import STATE_DIRECTORY
from tests.e2e.bed import PREFIX, Bed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

LOCK = pytest.StashKey[TextIO]()
TOOLS = ("ip", "tc", "ss", "ethtool", "nft", "nginx", "curl", "wrk", "ab", "tcpdump", "setpriv")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as end-to-end, and skip it, with the reason, where it cannot run."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    reason = "needs root" if os.geteuid() else f"not installed: {', '.join(absent)}" if absent else ""
    for item in items:
        if "tests/e2e/" not in item.nodeid:
            continue
        item.add_marker(pytest.mark.e2e)
        if reason:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Wait until no other run of these tests, of any checkout, uses the same namespaces and the machine.

    Before the time begins that a test may take; until the last of them has taken its fixtures down.
    """
    stash = item.session.stash
    if not item.get_closest_marker("skip") and LOCK not in stash:
        STATE_DIRECTORY.mkdir(parents=True, exist_ok=True)
        stash[LOCK] = (STATE_DIRECTORY / "e2e.lock").open("w")
        fcntl.flock(stash[LOCK], fcntl.LOCK_EX)
    try:
        return (yield)
    finally:
        if LOCK in stash and (nextitem is None or nextitem.path.parent != item.path.parent):
            stash[LOCK].close()
            del stash[LOCK]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Skip a test that fails because its premise did not hold (premise.py), with the evidence."""
    try:
        return (yield)
    except AssertionError as error:
        if pyfuncitem.get_closest_marker("every_copy") is None:
            raise
        evidence = "; ".join(filter(None, (bed.copies.evidence() for bed in Bed.open)))
        if not evidence:
            raise
        failure = str(error).partition("\n")[0]
        pytest.skip(
            f"not every copy reached the engine: {evidence}. Otherwise it would have failed: {failure}"
        )


@pytest.fixture(scope="package")
def _clean() -> Iterator[None]:
    """Remove what an interrupted run left, and what this one leaves."""
    Lab(PREFIX).down()
    try:
        yield
    finally:
        Lab(PREFIX).down()


@pytest.fixture
def make_bed(_clean: None) -> Iterator[Callable[..., Bed]]:
    """Make beds with settings of the test's choice; each is closed, and its ledger checked, at the end."""
    beds: list[Bed] = []

    def make(**settings: Any) -> Bed:
        beds.append(Bed(**settings))
        return beds[-1]

    try:
        yield make
    finally:
        for bed in reversed(beds):
            bed.close()


@pytest.fixture
def bed(make_bed: Callable[..., Bed]) -> Bed:
    """Make the ordinary bed: both directions mirrored, one queue, both servers up, no appliance yet."""
    return make_bed()
