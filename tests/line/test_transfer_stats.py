"""What is counted for each transfer, and how long targets and production take to answer."""

from dataclasses import replace
from itertools import pairwise

import pytest

from dataplane.binding import BOUNDS, Side, TransferState
from tests.line.test_live import change, other, syn_to


def times(scene, side):
    """Upper bounds, in milliseconds, of the answer times that were measured."""
    found = scene.dataplane.segment().answer_times(0, side)
    return [bound / 1e6 for bound, n in zip(BOUNDS, found.buckets, strict=True) for _ in range(n)]


def test_bounds_grow_by_an_eighth_at_most():
    assert BOUNDS[0] == 1000
    for one, next_one in pairwise(BOUNDS):
        assert one < next_one <= max(one + 1000, one * 9 / 8)
    assert BOUNDS[-1] > 120e9


@pytest.mark.parametrize("microseconds", [0, 1, 7, 8, 9, 100, 12345, 10**6, 10**8])
def test_a_time_counts_in_the_bucket_below_whose_bound_it_is(open_scene, microseconds):
    scene = open_scene
    scene.client.says(b"GET /")
    scene.sent()
    scene.now += microseconds * 1000
    scene.target.says(b"200")
    found = scene.dataplane.segment().answer_times(0, Side.TARGET)
    (bucket,) = (at for at, n in enumerate(found.buckets) if n)
    assert (BOUNDS[bucket - 1] if bucket else 0) <= microseconds * 1000 < BOUNDS[bucket]
    assert found.sum == found.most == microseconds * 1000


def test_target_and_production_are_measured_apart(open_scene):
    scene = open_scene
    for _ in range(3):
        scene.client.says(b"GET /")
        scene.sent()
        scene.advance(0.010)
        scene.server.says(b"200")
        scene.advance(0.030)
        scene.target.says(b"200")
        scene.target.says(b" and more")
        scene.server.says(b" and more")
    assert times(scene, Side.PRODUCTION) == pytest.approx([10] * 3, rel=0.15)
    assert times(scene, Side.TARGET) == pytest.approx([40] * 3, rel=0.15)


def test_production_is_not_measured_where_it_is_not_mirrored(make_scene):
    scene = make_scene(both=False)
    scene.establish()
    scene.exchange()
    assert times(scene, Side.PRODUCTION) == []
    assert len(times(scene, Side.TARGET)) == 1


def test_each_transfer_has_its_own_counters(open_scene):
    scene = open_scene
    scene.exchange(b"GET /1", b"answer")
    change(scene, scene.dataplane.config.transfers[0], other(scene))
    for i in range(3):
        syn_to(scene, 81, 5000 + i)
    segment = scene.dataplane.segment()
    first, second = segment.transfer(0), segment.transfer(1)
    assert (first["sessions_opened"], first["sessions_established"], first["turns_sent"]) == (1, 1, 1)
    assert (first["request_bytes_acked"], first["answer_bytes"]) == (6, 6)
    assert (second["sessions_opened"], second["sessions_established"], second["sent_frames"]) == (3, 0, 3)
    for name, total in scene.counters().items():
        if name in first:
            assert first[name] + second[name] == total, name


def test_a_transfer_in_the_place_of_another_begins_at_nothing(open_scene):
    scene = open_scene
    scene.exchange()
    first = scene.dataplane.config.transfers[0]
    change(scene, replace(first, state=TransferState.REMOVED))
    scene.expect("RA")
    assert scene.dataplane.segment().transfer(0)["end_transfer_removed"] == 1
    scene.step()
    change(scene, other(scene, state=TransferState.RUNNING))
    assert not any(scene.dataplane.segment().transfer(0).values())
    assert times(scene, Side.TARGET) == []
