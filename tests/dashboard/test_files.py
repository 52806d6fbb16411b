"""The dashboard's files as they are served: to anybody, under a policy that lets nothing else in."""

import re

import pytest
from fastapi.testclient import TestClient

from api import dashboard
from api.app import create_app
from appliance.settings.api import Api


@pytest.fixture
def client(tmp_path):
    settings = Api(tokens=tmp_path / "tokens.json", audit=tmp_path / "audit.jsonl")
    return TestClient(create_app(settings, tmp_path / "socket"))


@pytest.mark.parametrize("path", sorted(dashboard.PATHS))
def test_a_file_is_served_with_strict_headers(client, path):
    said = client.get(path)
    assert said.status_code == 200
    assert said.content
    policy = said.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(
        policy.split("; ")
    )
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert said.headers["Cache-Control"] == "no-store"
    assert client.post(path, json={}).status_code in {401, 405}


def test_other_paths_beneath_are_not_served(client):
    for path in ("/dashboard", "/dashboard/", "/dashboard/../tokens.py", "/dashboard/%2e%2e/app.py"):
        assert client.get(path).status_code in {401, 404}


def test_rest_keeps_its_own_policy(client):
    assert client.get("/health").headers["Content-Security-Policy"].startswith("default-src 'none'; frame")


def test_no_file_names_another_site_or_writes_html():
    for path, (content, _) in dashboard.FILES.items():
        text = content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text), path
