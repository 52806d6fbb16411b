"""Who may do what: every route of the OpenAPI document, tokens, headers, where it listens."""

import re
import ssl

import pytest
from fastapi.testclient import TestClient

from api import tokens as tokens_module
from api.guard import PUBLIC
from api.serve import check, make_certificate
from api.tokens import Role, Tokens
from appliance.errors import ConfigError

OPERATORS = {"post", "patch", "delete", "put"}
ADMINS = {"/api/v1/audit"}
VERBS = {"get", "post", "patch", "delete", "put"}


def operations(scene):
    paths = scene.nobody.get("/api/v1/openapi.json").json()["paths"]
    for path, verbs in paths.items():
        for verb in VERBS & verbs.keys():
            yield verb, path, re.sub(r"{\w+}", "none", path)


def needed(verb, path):
    if path in ADMINS:
        return Role.ADMIN
    return Role.OPERATOR if verb in OPERATORS else Role.VIEWER


def asked(client, verb, url):
    json = {"id": "x", "settings": {"source": "1", "target": "198.19.0.9:1"}} if verb != "get" else None
    url = f"{url}?count=1" if url.endswith("stream") else url
    return client.request(verb, url, json=json)


def test_every_route_asks_for_the_role_that_it_needs(scene, monkeypatch):
    monkeypatch.setattr(tokens_module, "FAILURES", 10_000)
    seen = 0
    bad = TestClient(scene.app, headers={"Authorization": "Bearer xdp_no_no"})
    for verb, path, url in operations(scene):
        if path in PUBLIC:
            assert asked(scene.nobody, verb, url).status_code == 200
            continue
        seen += 1
        assert asked(scene.nobody, verb, url).status_code == 401, url
        assert asked(bad, verb, url).status_code == 401, url
        for role in Role:
            refused = asked(getattr(scene, role.value), verb, url).status_code == 403
            assert refused != role.covers(needed(verb, path)), (verb, path, role)
    assert seen >= 18


def test_the_document_names_the_token_wherever_one_is_needed(scene):
    paths = scene.nobody.get("/api/v1/openapi.json").json()["paths"]
    for verb, path, _ in operations(scene):
        assert bool(paths[path][verb].get("security")) == (path not in PUBLIC), path


def test_a_revoked_token_is_refused_at_once(scene):
    assert scene.viewer.get("/api/v1/appliance").status_code == 200
    (viewer,) = (token for token in scene.tokens.all() if token.role is Role.VIEWER)
    scene.tokens.revoke(viewer.id)
    assert scene.viewer.get("/api/v1/appliance").status_code == 401


def test_the_file_has_no_token_in_it_and_is_the_owners_alone(tmp_path):
    tokens = Tokens(tmp_path / "tokens.json")
    text = tokens.create("me", Role.ADMIN)
    assert text.split("_", 2)[2] not in tokens.path.read_text()
    assert "argon2id" in tokens.path.read_text()
    assert tokens.path.stat().st_mode & 0o777 == 0o600
    found = tokens.check(text)
    assert found
    assert (found.name, found.role) == ("me", Role.ADMIN)
    assert tokens.check(text[:-1]) is None
    assert tokens.check("") is None


def test_after_many_refused_tokens_an_address_has_to_wait(scene):
    bad = TestClient(scene.app, headers={"Authorization": "Bearer xdp_no_no"})
    for _ in range(tokens_module.FAILURES):
        assert bad.get("/api/v1/appliance").status_code == 401
    said = bad.get("/api/v1/appliance")
    assert said.status_code == 429
    assert 0 < int(said.headers["Retry-After"]) <= tokens_module.WINDOW_S + 1
    assert scene.viewer.get("/api/v1/appliance").status_code == 429
    noted = scene.settings.audit.read_text().splitlines()
    assert len(noted) == tokens_module.FAILURES + 2


def test_answers_carry_security_headers_and_no_foreign_origin(scene):
    said = scene.viewer.get("/api/v1/appliance", headers={"Origin": "https://elsewhere.example"})
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert said.headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in said.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in said.headers


def test_beyond_this_machine_it_needs_tls_and_a_token(api_settings):
    check(api_settings)
    open_to_all = api_settings.model_copy(update={"address": "0.0.0.0"})  # noqa: S104 - what is refused
    with pytest.raises(ConfigError, match=r"set api\.tls: true"):
        check(open_to_all)
    with_tls = open_to_all.model_copy(update={"tls": True})
    with pytest.raises(ConfigError, match="there is no token"):
        check(with_tls)
    Tokens(api_settings.tokens).create("me", Role.VIEWER)
    check(with_tls)


def test_a_made_certificate_can_be_served_and_its_key_is_private(api_settings, tmp_path):
    files = {"certificate": tmp_path / "c.pem", "key": tmp_path / "k.pem"}
    made = api_settings.model_copy(update=files)
    make_certificate(made)
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(made.certificate, made.key)
    assert made.key.stat().st_mode & 0o777 == 0o600
