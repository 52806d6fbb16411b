"""The benchmark measures what it says: its line part runs, and its counters are right. No times."""

from xml.etree import ElementTree as ET

import pytest

from tests.bench import lab, native, parts, plot, soak

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


def test_memory_that_grows_fails_the_soak():
    flat = [soak.Moment(minute, 1000, {}) for minute in range(10)]
    soak.check_memory(flat)
    with pytest.raises(native.BenchError, match="grown"):
        soak.check_memory([*flat, soak.Moment(10, 1200, {})])


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
