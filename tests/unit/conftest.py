import time

import pytest

from dataplane.binding import Config, Dataplane, Port, PortKind, PortRole


@pytest.fixture
def segment(tmp_path):
    """A real stats segment, of a dataplane on memory ports, where the fake engine's should be."""
    ports = (Port(PortKind.MEMORY, PortRole.MIRROR), Port(PortKind.MEMORY, PortRole.TEST))
    with Dataplane(Config(ports, (), stats_path=str(tmp_path / "stats"))) as dataplane:
        dataplane.step(time.monotonic_ns())
        yield dataplane
