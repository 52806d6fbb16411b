"""The dashboard in Chromium, before the api, the engine and real traffic: a shift of an operator."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from api.tokens import Role
from appliance.contract.observed import GetCounters
from appliance.contract.transfers import GetTransfer
from tests.dashboard.api_process import ApiProcess
from tests.dashboard.browser import Page, chromium
from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT
from tests.e2e.test_control import SHOP, ControlBed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.bed import Bed


NOTHING = "\N{EN DASH}"


@pytest.fixture
def control(make_bed: Callable[..., Bed]) -> ControlBed:
    return ControlBed(make_bed())


@pytest.fixture
def page(control: ControlBed, tmp_path: Path) -> Iterator[Page]:
    api = ApiProcess(control.directory, control.directory / "socket")
    try:
        with chromium(tmp_path) as driver:
            made = Page(driver, api.base)
            made.open(api.token(Role.OPERATOR))
            yield made
            assert made.complaints() == []
    finally:
        api.stop()


@pytest.fixture
def traffic(control: ControlBed) -> Iterator[subprocess.Popen[bytes]]:
    """Clients that would go on for minutes; they are ended with the test."""
    argv = control.bed.client_argv(60000, parallel=24, pause=0.05)
    process = control.bed.lab.exec("client", argv, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def figure(page: Page, title: str) -> float:
    """The number of a tile; nothing is shown as 0."""
    value = page.one(".tile", title).text.splitlines()[1].split()[0].removesuffix("/s").replace(",", "")
    return 0.0 if value == NOTHING else float(value)


def moves(page: Page, title: str) -> None:
    page.wait(lambda: figure(page, title) > 0, title)


def test_a_shift_at_the_dashboard(control: ControlBed, page: Page, traffic: subprocess.Popen[bytes]) -> None:
    def counted(name: str) -> int:
        return control.client.call(GetCounters()).totals[name]

    _create(control, page)
    page.go("overview")
    for title in ("Mirrored", "Replayed", "Requests", "Sessions", "Replay ratio"):
        moves(page, title)
    page.wait(lambda: NOTHING not in page.one(".panel", "Answer times").text)
    page.wait(lambda: "production" in page.one(".panel", "Live sessions").text)
    page.photograph("overview")
    _look_at_a_session(page)
    page.go("transfers")
    page.photograph("transfers")
    page.press(f"Pause {SHOP}")
    page.one("tbody .state", "paused")
    assert control.client.call(GetTransfer(transfer=SHOP)).paused
    page.wait(lambda: counted("sessions_live") == 0)
    page.press(f"Resume {SHOP}")
    page.wait(lambda: counted("sessions_live") > 0)
    page.press("Emergency stop")
    page.press("Stop everything")
    page.says(".banner", "Emergency stop: every session was reset")
    sent, mirrored = counted("sent_frames"), counted("mirror_frames")
    page.wait(lambda: counted("mirror_frames") > mirrored + 1000)
    assert (counted("sessions_live"), counted("sent_frames")) == (0, sent)
    page.press("Arm again")
    page.press("Arm")
    page.wait(lambda: counted("sent_frames") > sent)
    assert traffic.poll() is None


def _create(control: ControlBed, page: Page) -> None:
    page.go("transfers")
    page.press("New transfer")
    page.type("Id", SHOP)
    page.type("Source", str(PRODUCTION_PORT))
    page.type("Target", f"{control.bed.lab.target}:{TARGET_PORT}")
    page.press("Create")
    page.one("tbody .state", "running")


def _look_at_a_session(page: Page) -> None:
    def listed() -> bool:
        if page.all("tbody tr"):
            return True
        page.press("Refresh")
        return False

    page.go("sessions")
    page.wait(listed)
    page.driver.execute_script("document.querySelector('tbody tr button').click()")
    page.one(".detail .body p")
    page.photograph("sessions")
