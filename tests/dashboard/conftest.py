"""One engine on memory ports, one api, one browser; each test begins signed out and without transfers."""

import sys
from types import SimpleNamespace

import pytest

from api.tokens import Role
from appliance.contract.appliance import Arm
from appliance.contract.transfers import DeleteTransfer, ListTransfers
from appliance.service import child
from tests.dashboard.api_process import ApiProcess
from tests.dashboard.browser import Page, chromium
from tests.unit.control_bed import ControlBed


@pytest.fixture(scope="package")
def engine(tmp_path_factory):
    """Replays of captures are real too, but for their devices."""
    with pytest.MonkeyPatch.context() as patch:
        program = (*child.PROGRAM[:3], sys.executable, "-m", "tests.api.replay_child")
        patch.setattr(child, "PROGRAM", program)
        made = ControlBed(tmp_path_factory.mktemp("engine"))
        made.start()
        yield made
    assert made.end() == 0


@pytest.fixture(scope="package")
def api(engine, tmp_path_factory):
    captures = {"directory": str(engine.config.captures.directory)}
    made = ApiProcess(tmp_path_factory.mktemp("api"), engine.config.control.socket, captures=captures)
    yield made
    made.stop()


@pytest.fixture(scope="package")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture(scope="package")
def tokens(api):
    return SimpleNamespace(**{role.value: api.token(role) for role in Role})


@pytest.fixture
def page(engine, api, driver):
    for transfer in engine.client.call(ListTransfers()).items:
        engine.client.call(DeleteTransfer(transfer=transfer.id))
    engine.client.call(Arm())
    made = Page(driver, api.base)
    made.complaints()
    yield made
    assert made.complaints() == []
