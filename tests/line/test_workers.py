"""Several workers: whichever queue a frame arrives on, its owner gets it."""

import pytest

WORKERS = 4


@pytest.mark.parametrize("queue", range(WORKERS))
def test_dialogue_is_the_same_on_every_queue(make_scene, queue):
    scene = make_scene(workers=WORKERS)
    scene.queue = queue
    scene.establish()
    scene.exchange()
    scene.client.closes()
    scene.expect("FA")
    scene.target.closes()
    scene.expect("A")
    assert scene.ended() == {"complete": 1}


def test_frames_on_foreign_queues_are_handed_off(make_scene):
    scene = make_scene(workers=WORKERS)
    for port in range(40000, 40040):
        scene.new_client("198.18.0.10", port)
        scene.queue = port % WORKERS
        scene.client.isn = port
        scene.establish()
        scene.exchange()
    counters = scene.counters()
    assert counters["mirror_handed_off"] == counters["mirror_handed_in"] > 0
    assert counters["test_handed_off"] == counters["test_handed_in"] > 0
    owned = [scene.dataplane.counters(worker)["sessions_live"] for worker in range(WORKERS)]
    assert sum(owned) == 40
    assert min(owned) > 0
