"""Captures over REST: taken or refused whole, and replayed by the real command on memory ports."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from appliance.captures import Library
from appliance.service import child
from tests.line.tape import RAW, Tape, pcap, pcapng
from tests.unit.control_bed import ControlBed, settings

CAPTURES, REPLAYS = "/api/v1/captures", "/api/v1/replays"
FRAME = bytes(12) + b"\x08\x00" + bytes(46)
WITHIN, LOOK_S = 1000, 0.05


@pytest.fixture
def bed(tmp_path, monkeypatch):
    """Replays are real, but for their devices; a SYN that nobody answers ends its session at once."""
    program = (*child.PROGRAM[:3], sys.executable, "-m", "tests.api.replay_child")
    monkeypatch.setattr(child, "PROGRAM", program)
    limits = {"max_bytes": 100_000, "total_bytes": 150_000, "directory": str(tmp_path / "captures")}
    made = ControlBed(tmp_path, timing={"syn_tries": 1, "linger_s": 0.1}, captures=limits)
    made.start()
    yield made
    assert made.end() in (0, None)


def recording(seconds=0.0):
    """Two conversations, so many seconds apart."""
    tape = Tape()
    for number in range(2):
        tape.conversation(("198.18.0.10", 40000 + number)).whole()
        tape.wait(seconds)
    return pcap(tape.frames)


def upload(scene, data, **params):
    return scene.operator.post(CAPTURES, content=data, params=params)


def uploaded(scene, data):
    said = upload(scene, data)
    assert said.status_code == 201, said.text
    return said.json()["id"]


def files(scene):
    return sorted(path.name for path in scene.bed.config.captures.directory.glob("*"))


def start(scene, options, **more):
    return scene.operator.post(REPLAYS, json={"options": options, **more})


def until(scene, name, *states):
    for _ in range(WITHIN):
        found = scene.viewer.get(f"{REPLAYS}/{name}").json()
        if found["state"] in states:
            return found
        time.sleep(LOOK_S)
    raise AssertionError(found)


def back(scene):
    """The engine has the ports again."""
    for _ in range(WITHIN):
        status = scene.viewer.get("/api/v1/appliance").json()
        if not status["aside"]:
            return status
        time.sleep(LOOK_S)
    raise AssertionError(status)


@pytest.fixture
def slow(scene):
    """A replay that would take minutes, and has begun."""
    capture = uploaded(scene, recording(1000))
    said = start(scene, {"captures": [capture], "settings": [settings()]}, id="slow")
    assert said.status_code == 201, said.text
    until(scene, "slow", "running")
    for _ in range(WITHIN):
        if scene.viewer.get(f"{REPLAYS}/slow").json()["progress"]["frames"]:
            return capture
        time.sleep(LOOK_S)
    raise AssertionError(scene.viewer.get(f"{REPLAYS}/slow").json())


class TestFiles:
    def test_a_file_is_taken_listed_read_and_removed(self, scene):
        said = upload(scene, recording(2.5), name="monday.pcap")
        made = said.json()
        assert (said.status_code, said.headers["Location"]) == (201, f"{CAPTURES}/{made['id']}")
        assert (made["format"], made["link"], made["frames"]) == ("pcap", "Ethernet", len(recording_frames()))
        assert made["duration_s"] == pytest.approx(made["last_at"] - made["first_at"], abs=1e-6)
        assert made["duration_s"] >= 2.5
        assert (made["truncated"], made["trouble"], made["cut_frames"]) == (False, "", 0)
        assert (made["name"], made["uploaded_by"]) == ("monday.pcap", "operator")
        assert files(scene) == [f"{made['id']}.json", f"{made['id']}.pcap"]
        assert scene.viewer.get(said.headers["Location"]).json() == made
        listed = scene.viewer.get(CAPTURES).json()
        assert (listed["items"], listed["bytes"]) == ([made], made["bytes"])
        assert scene.operator.delete(said.headers["Location"]).json() == made
        assert scene.viewer.get(said.headers["Location"]).status_code == 404
        assert files(scene) == []
        lines = [json.loads(line) for line in scene.settings.audit.read_text().splitlines()]
        assert [(line["method"], line["status"]) for line in lines] == [("POST", 201), ("DELETE", 200)]
        assert lines[0]["after"]["sha256"] == lines[1]["before"]["sha256"] == made["sha256"]

    def test_the_same_bytes_are_kept_once(self, scene):
        first = upload(scene, recording())
        again = upload(scene, recording(), name="again")
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        assert len(files(scene)) == 2

    def test_what_cannot_be_replayed_is_refused_and_leaves_nothing(self, scene):
        for data, sentence in (
            (b"", "no capture file"),
            (b"GET / HTTP/1.1\r\n\r\n", "no capture file"),
            (pcap([]), "no frames"),
            (pcap([(0, FRAME)], link=105), "link type IEEE802_11"),
            (pcap([(0, FRAME)])[:30], "rest is left out after 0 frames"),
        ):
            said = upload(scene, data)
            assert (said.status_code, said.headers["Content-Type"]) == (422, "application/problem+json")
            assert sentence in said.json()["detail"]
            assert str(scene.bed.config.captures.directory) not in said.text
            assert files(scene) == []

    def test_what_is_missing_in_a_file_is_said(self, scene):
        frames = [(0, FRAME), (1_000_000, FRAME)]
        damaged = upload(scene, pcap(frames)[:-10]).json()
        assert (damaged["frames"], damaged["truncated"]) == (1, True)
        assert "rest is left out after 1 frames" in damaged["trouble"]
        snapped = upload(scene, pcap(frames, snap=20)).json()
        assert (snapped["cut_frames"], snapped["truncated"], snapped["trouble"]) == (2, True, "")
        other = upload(scene, pcapng(frames, link=RAW)).json()
        assert (other["format"], other["link"], other["truncated"]) == ("pcapng", "raw IP", False)

    def test_one_that_is_too_large_is_refused_and_leaves_nothing(self, scene):
        data = pcap([(n, FRAME) for n in range(2000)])
        for body in (data, iter([data[:60_000], data[60_000:]])):
            said = upload(scene, body)
            assert said.status_code == 413, said.text
            assert files(scene) == []

    def test_all_together_have_a_bound(self, scene):
        one, other = (pcap([(n + step, FRAME) for n in range(1000)]) for step in (0, 7))
        uploaded(scene, one)
        said = upload(scene, other)
        assert (said.status_code, "delete some" in said.json()["detail"]) == (507, True)
        assert len(files(scene)) == 2
        scene.operator.delete(f"{CAPTURES}/{scene.viewer.get(CAPTURES).json()['items'][0]['id']}")
        uploaded(scene, other)

    def test_a_name_is_never_a_path(self, scene):
        made = upload(scene, recording(), name="../../etc/passwd").json()
        assert made["name"] == "../../etc/passwd"
        assert files(scene) == [f"{made['id']}.json", f"{made['id']}.pcap"]
        for name in ("..%2Fstate", "../state", "%2e%2e", "0123456789abcdeg"):
            assert scene.operator.delete(f"{CAPTURES}/{name}").status_code in {404, 422}

    def test_a_start_removes_what_an_interrupted_upload_has_left(self, scene):
        kept = uploaded(scene, recording())
        folder = scene.bed.config.captures.directory
        for name in ("a.part", "0123456789abcdef.pcap", "0123456789abcdef.json.new"):
            (folder / name).write_bytes(b"x")
        (folder / "fedcba9876543210.json").write_text((folder / f"{kept}.json").read_text()[:40])
        found = Library(scene.bed.config.captures).all()
        assert [one.id for one in found] == [kept]
        assert files(scene) == sorted([f"{kept}.json", f"{kept}.pcap", "fedcba9876543210.json"])


def recording_frames():
    tape = Tape()
    for number in range(2):
        tape.conversation(("198.18.0.10", 40000 + number)).whole()
    return tape.frames


class TestReplays:
    def test_one_runs_to_its_end_and_the_engine_goes_on(self, scene):
        shop = {"id": "shop", "settings": settings(), "paused": True}
        assert scene.operator.post("/api/v1/transfers", json=shop).status_code == 201
        captures = [uploaded(scene, recording()), uploaded(scene, pcap([(0, FRAME)]))]
        options = {"captures": captures, "transfers": ["shop"], "fast": True}
        said = start(scene, options, id="first")
        assert (said.status_code, said.headers["Location"]) == (201, f"{REPLAYS}/first")
        done = until(scene, "first", "done", "failed")
        assert (done["state"], done["closes"], done["reason"]) == ("done", True, "")
        assert done["progress"]["percent"] == 100
        assert done["progress"]["frames"] == len(recording_frames()) + 1
        assert done["progress"]["sessions_opened"] == 2
        assert any(line.startswith("replayed: 2 files") for line in done["summary"])
        ledger = scene.viewer.get(f"{REPLAYS}/first/ledger").json()
        assert ledger["closes"]
        assert ledger["ledger"]["counters"]["sessions_opened"] == 2
        assert back(scene)["healthy"]
        assert scene.viewer.get("/api/v1/counters").json()["totals"]["sessions_opened"] == 0
        assert scene.viewer.get("/api/v1/transfers/shop").json()["state"] == "paused"
        assert start(scene, options, id="first").status_code == 200
        assert start(scene, {**options, "repeats": 2}, id="first").status_code == 409
        again = start(scene, {**options, "repeats": 2}).json()["id"]
        assert until(scene, again, "done", "failed")["progress"]["repeat"] == 2
        listed = scene.viewer.get(REPLAYS).json()["items"]
        assert [one["id"] for one in listed] == [again, "first"]
        back(scene)
        assert scene.operator.delete(f"{REPLAYS}/first").json()["state"] == "done"
        assert scene.viewer.get(f"{REPLAYS}/first").status_code == 404

    @pytest.mark.usefixtures("slow")
    def test_it_is_paused_resumed_and_cancelled(self, scene):
        one = f"{REPLAYS}/slow"
        going = scene.viewer.get(one).json()["progress"]
        assert going["percent"] < 100
        assert going["rest_s"] == pytest.approx(1000, rel=0.01)
        assert scene.operator.post(f"{one}/pause").json()["state"] == "paused"
        assert scene.operator.post(f"{one}/pause").json()["state"] == "paused"
        for _ in range(WITHIN):
            paused = scene.viewer.get(one).json()["progress"]
            if paused["ends_at"] is None:
                break
            time.sleep(LOOK_S)
        assert scene.viewer.get(one).json()["progress"]["running_s"] == paused["running_s"]
        assert scene.operator.post(f"{one}/resume").json()["state"] == "running"
        for _ in range(WITHIN):
            if scene.viewer.get(one).json()["progress"]["running_s"] > paused["running_s"]:
                break
            time.sleep(LOOK_S)
        assert scene.operator.delete(one).status_code == 409
        ended = scene.operator.post(f"{one}/cancel").json()
        assert (ended["state"], ended["reason"], ended["closes"]) == ("cancelled", "it was asked for", True)
        assert scene.operator.post(f"{one}/pause").status_code == 409
        assert scene.operator.post(f"{one}/cancel").json() == ended
        back(scene)

    def test_meanwhile_the_engine_says_what_has_the_ports(self, scene, slow):
        status = scene.viewer.get("/api/v1/appliance").json()
        assert "replay 'slow' of captures has the ports" in status["aside"]
        assert scene.nobody.get("/ready").status_code == 200
        assert scene.viewer.get("/api/v1/transfers").json()["items"] == []
        assert scene.viewer.get("/api/v1/counters").json()["totals"]["mirror_frames"] > 0
        for said in (
            scene.operator.post("/api/v1/transfers", json={"settings": settings()}),
            scene.viewer.get("/api/v1/sessions"),
        ):
            assert (said.status_code, "wait for its end" in said.json()["detail"]) == (503, True)
        said = start(scene, {"captures": [slow], "settings": [settings()]})
        assert (said.status_code, "'slow' is running" in said.json()["detail"]) == (409, True)
        assert scene.operator.post("/api/v1/doctor", json={}).status_code == 409
        assert scene.operator.delete(f"{CAPTURES}/{slow}").status_code == 409

    def test_the_emergency_stop_ends_it(self, scene, slow):
        assert not scene.operator.post("/api/v1/emergency-stop").json()["armed"]
        ended = scene.viewer.get(f"{REPLAYS}/slow").json()
        assert (ended["state"], ended["reason"]) == ("cancelled", "the emergency stop")
        assert not back(scene)["armed"]
        said = start(scene, {"captures": [slow], "settings": [settings()]})
        assert (said.status_code, "arm" in said.json()["detail"]) == (409, True)

    @pytest.mark.usefixtures("slow")
    def test_one_that_dies_has_failed_and_says_why(self, scene):
        os.kill(child_of(scene.bed.child), signal.SIGKILL)
        ended = until(scene, "slow", "failed")
        assert ended["reason"] == "xdpcopy replay was ended by SIGKILL"
        assert scene.viewer.get(f"{REPLAYS}/slow/ledger").status_code == 404
        back(scene)

    def test_it_ends_with_the_engine_and_has_failed_when_that_is_back(self, scene, slow):
        process = child_of(scene.bed.child)
        scene.bed.end(signal.SIGKILL)
        for _ in range(WITHIN):
            if not Path(f"/proc/{process}").exists() or state_of(process) == "Z":
                break
            time.sleep(LOOK_S)
        assert scene.viewer.get(f"{REPLAYS}/slow").status_code == 503
        assert scene.viewer.get(f"{CAPTURES}/{slow}").status_code == 200
        scene.bed.start()
        ended = scene.viewer.get(f"{REPLAYS}/slow").json()
        assert (ended["state"], "the engine ended" in ended["reason"]) == ("failed", True)

    @pytest.mark.usefixtures("slow")
    def test_an_engine_that_is_stopped_ends_it(self, scene):
        assert scene.bed.end() == 0
        scene.bed.start()
        ended = scene.viewer.get(f"{REPLAYS}/slow").json()
        assert (ended["state"], ended["reason"]) == ("cancelled", "the engine was stopped")

    def test_what_cannot_be_is_refused(self, scene):
        capture = uploaded(scene, recording())
        own = {"captures": [capture], "settings": [settings()]}
        outside = {"captures": [capture], "settings": [settings(target="198.20.0.1:80")]}
        missing = {**own, "captures": ["0123456789abcdef"]}
        for options, status, sentence in (
            ({"captures": [capture]}, 422, "there is no transfer"),
            ({"captures": [capture], "transfers": ["none"]}, 404, "no transfer 'none'"),
            (outside, 422, "outside safety"),
            (missing, 404, "no capture"),
            ({**own, "captures": ["../state"]}, 422, "captures"),
            ({**own, "fast": True, "speed": 2}, 422, "ignores the recorded pace"),
            ({**own, "transfers": ["a"]}, 422, "either transfers or settings"),
            ({**own, "device": "eth9"}, 422, "device"),
        ):
            said = start(scene, options)
            assert (said.status_code, sentence in said.json()["detail"]) == (status, True), said.text
        scene.operator.post("/api/v1/transfers", json={"id": "shop", "settings": settings()})
        said = start(scene, own)
        assert (said.status_code, "pause them first" in said.json()["detail"]) == (409, True)
        assert scene.viewer.get(REPLAYS).json()["items"] == []


def child_of(process):
    for task in Path(f"/proc/{process}/task").iterdir():
        found = (task / "children").read_text().split()
        if found:
            return int(found[0])
    raise AssertionError("it has no child")


def state_of(process):
    return Path(f"/proc/{process}/stat").read_text().rsplit(") ", 1)[1][0]
