"""What is read over REST, the emergency stop, and an engine that goes and comes back."""

import json
import signal

from prometheus_client.parser import text_string_to_metric_families

from dataplane.binding import COUNTERS
from tests.unit.control_bed import settings

API = "/api/v1"


def test_the_appliance_says_what_it_is_and_counts(scene):
    scene.operator.post(f"{API}/transfers", json={"id": "shop", "settings": settings()})
    status = scene.viewer.get(f"{API}/appliance").json()
    assert (status["armed"], status["healthy"], status["pid"]) == (True, True, scene.bed.child)
    assert [one["worker"] for one in scene.viewer.get(f"{API}/workers").json()["items"]] == [0]
    counters = scene.viewer.get(f"{API}/counters").json()
    assert set(counters["totals"]) == {each.name for each in COUNTERS}
    assert counters["transfers"]["shop"]["sessions_opened"] == 0
    assert scene.viewer.get(f"{API}/ledger").json()["closes"]
    assert scene.viewer.get(f"{API}/latency").json()["target"]["shop"]["count"] == 0
    assert "http1" in scene.viewer.get(f"{API}/protocols").json()["connections"]


def test_a_token_can_be_asked_whose_it_is(scene):
    (token,) = (each for each in scene.tokens.all() if each.name == "viewer")
    said = scene.viewer.get(f"{API}/token")
    assert said.json() == {"id": token.id, "name": "viewer", "role": "viewer"}
    assert scene.nobody.get(f"{API}/token").status_code == 401


def test_sessions_in_short_are_asked_for_once_by_many(scene, monkeypatch):
    context = scene.app.state.context
    monkeypatch.setattr(context.sessions, "fresh_s", 3600.0)
    first = scene.viewer.get(f"{API}/sessions/summary").json()
    assert first == {"looked_at": 0, "truncated": False, "states": {}, "waits": {}}
    scene.bed.end(signal.SIGKILL)
    assert scene.viewer.get(f"{API}/sessions/summary").json() == first
    monkeypatch.setattr(context.sessions, "fresh_s", 0.0)
    assert scene.viewer.get(f"{API}/sessions/summary").status_code == 503


def test_the_emergency_stop_holds_until_it_is_armed(scene):
    assert not scene.operator.post(f"{API}/emergency-stop").json()["armed"]
    assert not scene.viewer.get(f"{API}/appliance").json()["armed"]
    assert scene.operator.post(f"{API}/arm").json()["armed"]
    assert scene.viewer.get(f"{API}/appliance").json()["armed"]


def events(scene, count=2):
    said = scene.viewer.get(f"{API}/counters/stream", params={"interval": 0.1, "count": count})
    assert said.headers["Content-Type"].startswith("text/event-stream")
    for event in said.text.strip().split("\n\n"):
        kind, data = event.split("\n")
        yield kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_counters_are_streamed(scene):
    (kind, first), (_, second) = events(scene)
    assert kind == "counters"
    assert second["at"] > first["at"]


def test_a_stream_ends_when_its_token_is_revoked(scene, monkeypatch):
    (token,) = (each for each in scene.tokens.all() if each.name == "viewer")
    sampled = scene.app.state.context.counters.newest

    def revoke():
        scene.tokens.revoke(token.id)
        return sampled()

    monkeypatch.setattr(scene.app.state.context.counters, "newest", revoke)
    assert len(list(events(scene, 0))) == 1


def test_many_readers_are_one_to_the_engine(scene, monkeypatch):
    context = scene.app.state.context
    asked = []
    call = context.client.call

    def noted(request):
        asked.append(request)
        return call(request)

    monkeypatch.setattr(context.counters, "fresh_s", 3600.0)
    monkeypatch.setattr(context.client, "call", noted)
    for _ in range(50):
        scene.viewer.get(f"{API}/counters")
    assert len(asked) == 1


def test_without_an_engine_it_says_so_and_is_back_by_itself(scene):
    assert scene.nobody.get("/ready").json() == {"api": "up", "engine": "up"}
    scene.bed.end(signal.SIGKILL)
    assert scene.nobody.get("/health").json() == {"api": "up", "engine": "down"}
    assert scene.nobody.get("/ready").status_code == 503
    said = scene.viewer.get(f"{API}/appliance")
    assert (said.status_code, said.headers["Retry-After"]) == (503, "1")
    assert "no engine answers" in said.json()["detail"]
    assert "xdpcopy_engine_up 0.0" in scene.viewer.get("/metrics").text
    scene.app.state.context.counters._last = None
    assert [kind for kind, _ in events(scene, 1)] == ["down"]
    scene.bed.start()
    assert scene.viewer.get(f"{API}/appliance").status_code == 200
    assert scene.nobody.get("/ready").status_code == 200


def test_metrics_have_every_counter_once(scene):
    scene.operator.post(f"{API}/transfers", json={"id": "shop", "settings": settings()})
    families = list(text_string_to_metric_families(scene.viewer.get("/metrics").text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    found = {name.removeprefix("xdpcopy_") for name in names}
    assert {each.name.removesuffix("_total") for each in COUNTERS} <= found
    assert all(family.documentation for family in families)
    (answers,) = (family for family in families if family.name == "xdpcopy_target_answer_seconds")
    assert {sample.labels["transfer"] for sample in answers.samples} == {"shop"}
