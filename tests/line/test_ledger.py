"""The ledger closes whatever comes: random segments from both sides, in any order."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataplane.binding import Limits
from tests.line.scene import Scene, check_ledger

FLAGS = st.sampled_from(["S", "SA", "A", "PA", "FA", "FPA", "R", "RA", "SF", ""])
OFFSETS = st.one_of(st.integers(-2, 12), st.sampled_from([1 << 30, 1 << 31, (1 << 32) - 5]))
SEGMENTS = st.tuples(
    st.sampled_from(["client", "server", "target"]),
    st.integers(0, 2),  # which client
    FLAGS,
    OFFSETS,
    OFFSETS,
    st.binary(max_size=8),
)
EVENTS = st.one_of(
    SEGMENTS,
    st.tuples(st.just("time"), st.floats(0, 3)),
    st.tuples(st.just("noise"), st.binary(max_size=80)),
    st.tuples(st.just("corrupt"), st.integers(0, 53), st.integers(1, 255)),
)


def happen(scene: Scene, event: tuple) -> None:
    match event:
        case ("time", seconds):
            scene.advance(seconds)
        case ("noise", data):
            scene.mirror(data)
            scene.answer(data)
        case ("corrupt", at, mask):
            data = bytearray(scene.client.segment("PA", b"hello"))
            data[at] ^= mask
            scene.mirror(bytes(data))
        case (who, client, flags, seq, ack, payload):
            port = 40000 + client
            scene.client.own = scene.server.other = scene.target.client = (scene.client.own[0], port)
            getattr(scene, who).shows(flags, payload, seq=seq, ack=ack)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 3), st.lists(EVENTS, max_size=40))
def test_ledger_closes_over_random_traffic(workers: int, events: list[tuple]) -> None:
    scene = Scene(workers=workers, limits=Limits(2 * workers, 2 * workers, 32768 * workers, 3000))
    scene.establish()
    for event in events:
        happen(scene, event)
        scene.sent()
        check_ledger(scene.counters())
    scene.finish()
