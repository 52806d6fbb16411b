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
        scene.client.own = scene.target.client = (scene.client.own[0], port)
        scene.server.other = scene.client.own
        scene.queue = port % WORKERS
        scene.client.isn, scene.client.next, scene.client.seen = port, 0, 0
        scene.server.next = scene.server.seen = scene.target.next = scene.target.seen = 0
        scene.establish()
        scene.exchange()
    counters = scene.counters()
    assert counters["mirror_handed_off"] == counters["mirror_handed_in"] > 0
    assert counters["test_handed_off"] == counters["test_handed_in"] > 0
    owned = [scene.dataplane.counters(worker)["sessions_live"] for worker in range(WORKERS)]
    assert sum(owned) == 40
    assert min(owned) > 0
