"""Both ends of a connection are some transfer's source; one client port speaks to two mirrored servers."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from tests.line.scene import Scene


class TwoSources(Scene):
    """Transfers of port 80 and of port 50051, each of any address; the client's port is 50051."""

    def _config(self, *, second=50051, **settings):
        config = super()._config(**settings)
        first = config.transfers[0]
        other = replace(first, source_port=second, target_ip=ip_address("198.19.0.3"))
        return replace(config, transfers=(first, other))


@pytest.fixture
def make_two():
    made = []

    def make(**settings):
        made.append(TwoSources(**settings))
        return made[-1]

    yield make
    for scene in made:
        scene.finish()


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("known", [True, False])
def test_answers_of_production_are_no_requests(make_two, workers, known):
    scene = make_two(workers=workers)
    for number in range(20):
        scene.new_client(f"198.18.1.{number}", 50051)
        scene.queue = number % workers
        if known:
            scene.client.connect()
        for _ in range(4):
            scene.server.says(b"200 OK")
            scene.queue = (scene.queue + 1) % workers
            scene.client.says(b"GET /")
    assert scene.count("sessions_opened") == 20
    assert {segment.raw.dst for segment in scene.sent()}
    targets = scene.dataplane.counters()
    assert targets["connections_opened"] == 20


def test_one_client_port_speaks_to_two_servers(make_scene):
    scene = make_scene()
    scene.establish()
    scene.client.other = scene.server.own = ("198.18.0.3", 80)
    scene.client.isn += 1000
    scene.client.connect()
    second = scene.expect("S")[0]
    assert second.raw.sport != 40000
    assert scene.count("ports_changed") == 1
    assert scene.count("drop_mirror_endpoint_taken") == 0
