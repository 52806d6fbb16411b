"""The application before the real engine on memory ports, asked as over HTTP."""

from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.tokens import Role, Tokens
from appliance.captures import Library
from appliance.settings.api import Api
from tests.unit.control_bed import ControlBed


@pytest.fixture
def bed(tmp_path):
    made = ControlBed(tmp_path)
    made.start()
    yield made
    assert made.end() in (0, None)


@pytest.fixture
def api_settings(tmp_path):
    return Api(tokens=tmp_path / "tokens.json", audit=tmp_path / "audit.jsonl")


@pytest.fixture
def scene(bed, api_settings):
    """An application, a client of it for each role, and one without a token."""
    library = Library(bed.config.captures)
    app = create_app(api_settings, bed.config.control.socket, library)
    tokens = Tokens(api_settings.tokens)
    made = SimpleNamespace(bed=bed, app=app, tokens=tokens, settings=api_settings)
    made.nobody = TestClient(app, raise_server_exceptions=False)
    for role in Role:
        text = tokens.create(role.value, role)
        client = TestClient(app, headers={"Authorization": f"Bearer {text}"}, raise_server_exceptions=False)
        setattr(made, role.value, client)
    return made
