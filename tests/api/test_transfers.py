"""Transfers over REST, before the real engine on memory ports."""

import json

import pytest

from tests.unit.control_bed import settings

URL = "/api/v1/transfers"


def wanted(name="shop", **more):
    return {"id": name, "settings": settings(**more)}


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
    assert 'has ETag "1" now' in said.json()["detail"]
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
        ("POST ", {"content": b"\xff" * 9}, 400, ""),
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
    scene.operator.post(URL, json=wanted())
    before, noted = known(scene), len(lines(scene))
    headers = {"Content-Type": "application/json"}
    said = scene.operator.request(verb, URL + path, headers=headers, **body)
    assert said.status_code == status, said.text
    assert said.headers["Content-Type"] == "application/problem+json"
    assert said.json()["status"] == status
    assert sentence in said.json()["detail"]
    assert known(scene) == before
    assert [line["status"] for line in lines(scene)[noted:]] == [status]


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
