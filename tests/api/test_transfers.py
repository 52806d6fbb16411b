"""Transfers over REST, before the real engine on memory ports."""

import json

import pytest
from fastapi.testclient import TestClient

from api.tokens import Role
from tests.unit.control_bed import settings

URL = "/api/v1/transfers"
JSON = {"Content-Type": "application/json"}


def wanted(name="shop", **more):
    return {"id": name, "settings": settings(**more)}


def answer_to(scene, client, method, url, body):
    """What is said to a request that is refused; the audit log has one line, nothing is changed."""
    scene.operator.post(URL, json=wanted())
    before, noted = known(scene), len(lines(scene))
    said = client.request(method, url, **({"headers": JSON} | body))
    assert known(scene) == before
    assert [line["status"] for line in lines(scene)[noted:]] == [said.status_code]
    return said


@pytest.mark.parametrize(("who", "status"), [("nobody", 401), ("viewer", 403), ("gone", 401)])
@pytest.mark.parametrize(
    ("asked", "body"),
    [
        ("POST ", {"json": wanted("x", source=81)}),
        ("POST ", {"content": b"{"}),
        ("POST ", {"content": b"\xff"}),
        ("POST ", {"json": {"more": 1}}),
        ("PATCH /shop", {"json": {"multiplier": 2}}),
        ("DELETE /shop", {}),
        ("POST /shop/pause", {}),
        ("POST /shop/resume", {}),
    ],
)
def test_who_may_not_change_is_refused_whatever_is_sent(scene, who, status, asked, body):
    text = scene.tokens.create("gone", Role.ADMIN)
    scene.gone = TestClient(scene.app, headers={"Authorization": f"Bearer {text}"})
    assert scene.gone.get(URL).status_code == 200
    assert scene.tokens.revoke(text.split("_")[1])
    verb, path = asked.split(" ")
    assert answer_to(scene, getattr(scene, who), verb, URL + path, body).status_code == status


def lines(scene):
    return [json.loads(line) for line in scene.settings.audit.read_text().splitlines()]


def known(scene):
    return scene.viewer.get(URL).json()


def test_a_transfer_is_made_changed_paused_resumed_and_deleted(scene):
    made = scene.operator.post(URL, json=wanted())
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    assert made.headers["Location"] == f"{URL}/shop"
    one = made.headers["Location"]
    changed = scene.operator.patch(one, json={"multiplier": 3}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"2"')
    assert changed.json()["transfer"]["settings"]["multiplier"] == 3
    assert scene.operator.post(f"{one}/pause").json()["transfer"]["state"] == "paused"
    assert scene.operator.post(f"{one}/resume").json()["transfer"]["state"] == "running"
    read = scene.viewer.get(one)
    assert (read.headers["ETag"], read.json()["settings"]["multiplier"]) == ('"4"', 3)
    assert scene.operator.delete(one).status_code == 200
    assert known(scene)["items"] == []


def test_null_brings_the_default_back(scene):
    scene.operator.post(URL, json=wanted(multiplier=5, sample_percent=10))
    changed = scene.operator.patch(f"{URL}/shop", json={"multiplier": None}).json()["transfer"]["settings"]
    assert (changed["multiplier"], changed["sample_percent"]) == (1, 10)


def test_the_same_creation_again_changes_nothing(scene):
    assert scene.operator.post(URL, json=wanted()).status_code == 201
    before = known(scene)
    again = scene.operator.post(URL, json=wanted())
    assert (again.status_code, again.json()["changed"]) == (200, False)
    assert known(scene) == before


@pytest.mark.parametrize("method", ["patch", "delete", "pause", "resume"])
def test_an_old_etag_is_refused(scene, method):
    scene.operator.post(URL, json=wanted())
    ways = {"patch": ("PATCH", "", {"json": {"multiplier": 2}}), "delete": ("DELETE", "", {})}
    verb, end, more = ways.get(method, ("POST", f"/{method}", {}))
    said = scene.operator.request(verb, f"{URL}/shop{end}", headers={"If-Match": '"7"'}, **more)
    assert said.status_code == 412
    assert 'now has ETag "1"' in said.json()["detail"]
    assert known(scene)["items"][0]["version"] == 1


@pytest.mark.parametrize(
    ("asked", "body", "status", "sentence"),
    [
        ("POST ", {"json": wanted("other")}, 422, "is the source of transfer 'shop' already"),
        ("POST ", {"json": wanted(multiplier=2)}, 409, "with other settings"),
        ("POST ", {"json": wanted("x", source=81, target="198.20.0.1:80")}, 422, "outside safety"),
        ("POST ", {"json": wanted("../x", source=81)}, 422, "id"),
        ("POST ", {"json": {**wanted("x", source=81), "more": 1}}, 422, "more"),
        ("POST ", {"json": []}, 422, "body"),
        ("POST ", {"content": b"{"}, 422, "JSON"),
        ("POST ", {"content": b"\xff" * 9}, 422, "UTF-8"),
        ("POST ", {"content": b"[" * 100_000}, 422, ""),
        ("POST ", {"json": wanted("x", source={"a": 1})}, 422, "not an address"),
        ("POST ", {"json": wanted("x" * 65, source=81)}, 422, "id"),
        ("POST /shop/pause/more", {}, 404, ""),
        ("POST /..%2f..%2fshop/pause", {}, 404, ""),
        ("POST /shop%00/pause", {}, 422, ""),
        ("PATCH /shop", {"json": {"source": None}}, 422, "source"),
        ("PATCH /shop", {"content": b"nothing", "headers": {"Content-Type": "text/plain"}}, 422, ""),
        ("POST ", {"content": b" " * (1 << 19)}, 413, "send less"),
        ("POST ", {"content": iter([b" " * (1 << 19)])}, 413, "send less"),
        ("PATCH /shop", {"json": {"multiplier": 0}}, 422, "multiplier"),
        ("PATCH /shop", {"json": {"multiplierr": 2}}, 422, "multiplierr"),
        ("PATCH /none", {"json": {}}, 404, "there is no transfer 'none'"),
        ("DELETE /%2e%2e%2fshop", {}, 404, ""),
        ("PUT /shop", {"json": {}}, 405, ""),
    ],
)
def test_what_cannot_be_is_refused_noted_once_and_changes_nothing(scene, asked, body, status, sentence):
    verb, path = asked.split(" ")
    said = answer_to(scene, scene.operator, verb, URL + path, body)
    assert said.status_code == status, said.text
    assert said.headers["Content-Type"] == "application/problem+json"
    assert said.json()["status"] == status
    assert sentence in said.json()["detail"]


def test_the_audit_log_has_who_what_before_after_and_result(scene):
    scene.operator.post(URL, json=wanted())
    scene.operator.patch(f"{URL}/shop", json={"multiplier": 2})
    scene.viewer.delete(f"{URL}/shop")
    newest = scene.admin.get("/api/v1/audit").json()
    assert [entry["status"] for entry in newest] == [403, 200, 201]
    change = newest[1]
    assert (change["method"], change["path"], change["role"]) == ("PATCH", f"{URL}/shop", "operator")
    assert change["who"].startswith("operator (")
    multipliers = [change[when]["settings"]["multiplier"] for when in ("before", "after")]
    assert multipliers == [1, 2]
    assert lines(scene) == newest[::-1]
