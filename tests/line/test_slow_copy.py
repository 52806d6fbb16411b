"""Of several copies of a connection, one slow target end does not end the others."""

from dataplane.binding import Limits
from tests.line.scene import MILLISECOND, TEST, Target


def copies(scene, count):
    """Each copy's own target, once all have sent their SYN."""
    targets = {}
    for _ in range(count):
        sent = scene.dataplane.collect(TEST, 0)
        scene.target.iss = 0
        found = scene._read(sent)
        target = Target(scene, isn=9_000_000)
        target.client = (found.raw["IP"].src, found.raw["TCP"].sport)
        target.iss = found.raw["TCP"].seq
        targets[target.client] = target
        target.accept()
    return targets


def collect(scene, targets):
    """What has left; each target notes what it has received."""
    while data := scene.dataplane.collect(TEST, 0):
        found = scene._read(data)
        target = targets[found.raw["IP"].src, found.raw["TCP"].sport]
        begin = (found.raw["TCP"].seq - target.iss - 1) % (1 << 32)
        if begin <= target.seen and "R" not in found.flags:
            target.seen = max(target.seen, begin + len(found.payload))


def test_backlog_ends_only_the_slow_copy(make_scene):
    limits = Limits(connections=64, sessions=64, buffer_bytes=32 << 20, backlog_bytes=64 << 10)
    scene = make_scene(multiplier=3, limits=limits)
    scene.client.connect()
    targets = copies(scene, 3)
    slow, *quick = targets.values()
    for _ in range(200):
        scene.client.says(bytes(1000))
        for _ in range(3):
            collect(scene, targets)
            for target in quick:
                target.acks(window=65535)
        scene.now += MILLISECOND
    assert scene.ended() == {"backlog_exceeded": 1}
    assert scene.count("sessions_live") == 2
    assert {target.seen for target in quick} == {200_000}
    assert slow.seen < 200_000


def test_only_the_copy_that_ended_opens_again(make_scene):
    scene = make_scene(multiplier=2)
    scene.client.connect()
    targets = copies(scene, 2)
    gone, stays = targets.values()
    scene.client.says(b"GET /1")
    scene.server.says(b"200 OK")
    collect(scene, targets)
    for target in targets.values():
        target.says(b"200 OK")
    collect(scene, targets)
    gone.resets()
    scene.advance(1.1)
    scene.client.says(b"GET /2")
    scene.server.says(b"200 OK")
    sent = []
    while data := scene.dataplane.collect(TEST, 0):
        sent.append(scene._read(data))
    assert sorted(segment.flags for segment in sent) == ["PA", "S"]
    (again,) = (segment for segment in sent if segment.flags == "S")
    fresh = Target(scene, isn=9_000_000)
    fresh.client, fresh.iss = (again.raw["IP"].src, again.raw["TCP"].sport), again.raw["TCP"].seq
    fresh.accept()
    (request,) = scene.sent()
    assert (request.payload, request.raw["TCP"].sport) == (b"GET /2", fresh.client[1])
    stays.seen += 6
    stays.says(b"200 OK")
    fresh.seen = 6
    fresh.says(b"200 OK")
    scene.sent()
    scene.client.says(b"GET /3")
    assert [segment.payload for segment in scene.sent()] == [b"GET /3"] * 2
    assert scene.count("sessions_reopened") == 1
    assert scene.count("sessions_live") == 2
