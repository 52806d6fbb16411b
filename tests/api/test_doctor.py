"""The doctor over REST: the real checks, on a machine that has none of the devices."""

import time

from tests.unit.control_bed import settings

URL = "/api/v1/doctor"


def examined(scene):
    for _ in range(1000):
        found = scene.viewer.get(URL).json()
        if found["state"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_with_nothing_live_it_has_the_ports_and_finds_what_is_missing(scene):
    assert scene.viewer.get(URL).json()["state"] == "never"
    paused = {"id": "shop", "settings": settings(), "paused": True}
    scene.operator.post("/api/v1/transfers", json=paused)
    said = scene.operator.post(URL, json={"listen_s": 0.1})
    assert (said.status_code, said.json()["state"], said.json()["probed"]) == (202, "running", True)
    found = examined(scene)
    assert (found["state"], found["healthy"]) == ("done", False)
    checks = {(each["id"], each["verdict"]) for each in found["findings"]}
    assert {("configuration", "ok"), ("port", "fault"), ("mirror", "skipped")} <= checks
    assert all(each["cause"] and each["cure"] for each in found["findings"] if each["verdict"] == "fault")
    for _ in range(1000):
        if not scene.viewer.get("/api/v1/appliance").json()["aside"]:
            break
        time.sleep(0.05)
    assert scene.viewer.get("/api/v1/counters").status_code == 200


def test_beside_live_traffic_it_sends_nothing_and_asks_the_engine(scene):
    scene.operator.post("/api/v1/transfers", json={"id": "shop", "settings": settings()})
    said = scene.operator.post(URL, json={"listen_s": 0.2})
    assert (said.status_code, said.json()["probed"]) == (202, False)
    assert scene.operator.post(URL, json={}).status_code == 409
    assert scene.viewer.get("/api/v1/counters").status_code == 200
    found = examined(scene)
    (mirror,) = (each for each in found["findings"] if each["id"] == "mirror")
    assert (mirror["verdict"], "no frame in 0.2 s" in mirror["result"]) == ("fault", True)
    assert scene.operator.post(URL, json={"listen_s": 0}).status_code == 422


def test_after_the_emergency_stop_it_sends_nothing(scene):
    scene.operator.post("/api/v1/emergency-stop")
    assert not scene.operator.post(URL, json={"listen_s": 0.1}).json()["probed"]
    assert examined(scene)["state"] == "done"
