"""The benchmark measures what it says: its line part runs, and its counters are right. No times."""

from xml.etree import ElementTree as ET

import pytest

from dataplane.binding import COUNTERS
from tests.bench import control, lab, native, parts, plot, programs, soak

SMALL = {"slices": 3, "slice_frames": 1}


@pytest.fixture(scope="module", autouse=True)
def _programs():
    native.build("parse")
    native.build("line")


@pytest.mark.parametrize(("mirrored", "frames"), [("requests", 2), ("client", 3), ("both", 4)])
def test_every_request_is_replayed_once(mirrored, frames):
    result = native.run("bench_line", sessions=700, mirrored=parts.MIRRORED.index(mirrored), **SMALL)
    assert result["requests"] == 700 * (result["slices"] + 1)
    assert result["frames_per_request"] == frames
    assert result["connections_live"] == 700
    assert result["sent_frames"] == 2 * 700 + 2 * result["requests"]


def test_connections_that_come_and_go_are_replayed_whole():
    result = native.run("bench_line", sessions=300, churn=1, linger_ms=1, **SMALL)
    assert result["frames_per_request"] == 9
    assert result["sent_frames"] == 6 * result["requests"]


@pytest.mark.parametrize("copies", [1, 3, 10])
def test_each_connection_can_be_replayed_by_several_sessions(copies):
    result = native.run("bench_line", sessions=300, mirrored=0, copies=copies, **SMALL)
    assert result["frames_per_request"] == 1 + copies
    assert result["sent_frames"] == 2 * copies * (300 + result["requests"])
    result = native.run("bench_line", sessions=300, churn=1, linger_ms=1, copies=copies, **SMALL)
    assert result["frames_per_request"] == 6 + 3 * copies
    assert result["sent_frames"] == 6 * copies * result["requests"]


def test_workers_take_up_changes_while_the_clock_runs():
    for workers in control.WORKERS:
        result = control.change(workers, 3)
        assert 0 < result["p50_us"] <= result["p99_us"] <= result["most_us"]


def test_with_two_workers_every_frame_can_be_made_to_arrive_at_the_wrong_one():
    for foreign in (0, 1):
        result = native.run("bench_line", sessions=700, mirrored=0, workers=2, foreign=foreign, **SMALL)
        assert result["foreign"] is bool(foreign)
        assert result["requests"] == 700 * (result["slices"] + 1)


def test_a_case_that_makes_no_sense_is_refused():
    with pytest.raises(native.BenchError, match="usage"):
        native.run("bench_line", sessions=0)


def test_all_kinds_of_frames_are_parsed():
    results = native.run("bench_parse", slices=1, slice_frames=1)
    assert len({result["kind"] for result in results}) == 6
    assert all(result["far"]["ns_per_frame"] > 0 for result in results)


def test_a_further_session_is_counted_without_the_ports():
    results = [
        {"case": "keep-alive", "sessions": 10, "resident_bytes": 5000},
        {"case": "keep-alive", "sessions": 110, "resident_bytes": 55000},
    ]
    parts.add_bytes_per_session(results)
    assert results[1]["bytes_per_session"] == 500
    assert "bytes_per_session" not in results[0]


def test_percentiles_are_of_all_requests():
    delays = {3000: 1, 1000: 600, 2000: 399}
    assert lab.percentiles(delays) == {"p50": 1000, "p99": 2000, "p99.9": 2000}


def moments(rest):
    return [soak.Moment(minute, soak.Memory(0, rest(minute)), {}) for minute in range(20)]


def test_memory_that_grows_fails_the_soak():
    soak.check_memory(moments(lambda minute: 10_000_000 * (minute < 10)))  # once, and at the beginning
    soak.check_memory(moments(lambda minute: soak.NOISE * (minute % 2)))
    with pytest.raises(native.BenchError, match="memory grows: by 147,456 bytes"):
        soak.check_memory(moments(lambda minute: minute * 2 * 8192 + 5))


@pytest.mark.parametrize("name", soak.HELD)
def test_what_is_held_to_the_end_fails_the_soak(name):
    nothing = dict.fromkeys(soak.HELD, 0)
    soak.check_given_back(nothing)
    with pytest.raises(native.BenchError, match=f"'{name}': 1"):
        soak.check_given_back(nothing | {name: 1})


def test_frames_that_are_of_no_use_fail_the_soak():
    names = [counter.name for counter in COUNTERS]
    first = dict.fromkeys(names, 0) | {"drop_mirror_joining": 7}
    last = first | {"turns_sent": 3, "sent_payload": 3, "answer_bytes": 3 * programs.ANSWER}
    last |= {"connections_closed": 2, "drop_mirror_connection_ended": 2}
    soak.check_counters(first, last, 3)
    with pytest.raises(native.BenchError, match="at the target"):
        soak.check_counters(first, last, 2)
    with pytest.raises(native.BenchError, match="of 2 connections"):
        soak.check_counters(first, last | {"drop_mirror_no_connection": 1}, 3)
    with pytest.raises(native.BenchError, match="drop_mirror_joining"):
        soak.check_counters(first, last | {"drop_mirror_joining": 8}, 3)
    with pytest.raises(native.BenchError, match="gone back"):
        soak.check_order([soak.Moment(0, soak.Memory(0, 0), last)], soak.Moment(1, soak.Memory(0, 0), first))


def test_an_account_that_does_not_close_fails_the_soak(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "TRIES", 3)
    off = dict.fromkeys([counter.name for counter in COUNTERS], 0)
    looks = iter([off | {"sessions_opened": 1}, off])
    monkeypatch.setattr(programs, "counters", lambda _: next(looks))
    assert soak.consistent(tmp_path) == off
    monkeypatch.setattr(programs, "counters", lambda _: off | {"sessions_opened": 1})
    with pytest.raises(native.BenchError, match="does not close at any of 3 looks"):
        soak.consistent(tmp_path)


def test_the_plot_has_a_line_for_each_kind_and_a_dot_for_each_case():
    results = [
        {"case": "keep-alive", "mirrored": mirrored, "sessions": sessions, "ns_per_frame": cost}
        for mirrored, sessions, cost in (
            ("requests", 1000, 100),
            ("requests", 10000, 200),
            ("client", 1000, 90),
        )
    ]
    picture = ET.fromstring(plot.sessions(results))  # noqa: S314 - it was made here
    tags = [element.tag.rpartition("}")[2] for element in picture]
    assert (tags.count("polyline"), tags.count("circle")) == (2, 3)
