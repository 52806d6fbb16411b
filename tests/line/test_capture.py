"""Capture files as a mirror port: formats, merging, pace, repeats, pauses, back-pressure, damage."""

from __future__ import annotations

import errno
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from dataplane.binding import (
    SECOND,
    Capture,
    Dataplane,
    DataplaneError,
    Limits,
    Port,
    PortKind,
    PortRole,
    Timing,
    Transport,
)
from tests.line.scene import MILLISECOND
from tests.line.tape import (
    ETHERNET,
    IPV4,
    IPV6,
    LOOP,
    NULL,
    RAW,
    SLL,
    SLL2,
    Playback,
    Responder,
    Tape,
    pcap,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Silence(Responder):
    """A target that answers nothing."""

    def on_frame(self, scene: Playback, data: bytes) -> None:
        pass


BULK = b"0123456789abcdef" * 64


@pytest.fixture
def make() -> Iterator[Callable[..., Playback]]:
    """Playbacks; each is finished, and its ledger checked, at the end."""
    made: list[Playback] = []

    def one(*files: Path, target: Responder | None = None, **settings: Any) -> Playback:
        made.append(Playback(files, target=target or Responder(), **settings))
        return made[-1]

    yield one
    for playback in made:
        playback.finish()


def conversations(count: int, requests: int = 1, apart: float = 0.0, request: bytes = b"GET /") -> Tape:
    """One after the other, each with a port of its own."""
    tape = Tape()
    for number in range(count):
        tape.conversation(("198.18.0.10", 40000 + number), isn=1000 * number).whole(requests, request)
        tape.wait(apart)
    return tape


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
@pytest.mark.parametrize("nano", [False, True])
def test_formats_and_resolutions(make, tmp_path, suffix, nano):
    path = conversations(3, 2, apart=0.01).write(tmp_path / f"a.{suffix}", nano=nano)
    playback = make(path)
    progress = playback.play()
    assert playback.ended() == {"complete": 3}
    assert playback.responder.requests() == 6
    assert progress.bytes == progress.bytes_total == path.stat().st_size
    assert progress.frames == playback.count("mirror_frames") == 3 * (3 + 2 * 3 + 3)
    assert (progress.repeat, progress.repeats, progress.broken) == (1, 1, 0)


@pytest.mark.parametrize("link", [ETHERNET, RAW, IPV4, SLL, SLL2, NULL, LOOP])
def test_link_types(make, tmp_path, link):
    playback = make(conversations(2).write(tmp_path / "a.pcap", link))
    playback.play()
    assert playback.ended() == {"complete": 2}


@pytest.mark.parametrize("link", [ETHERNET, RAW, IPV6, SLL, SLL2, NULL, LOOP])
def test_link_types_with_ipv6(make, tmp_path, link):
    tape = Tape()
    tape.conversation(("fd00:198:18::10", 40000), ("fd00:198:18::2", 80)).whole()
    playback = make(tape.write(tmp_path / "a.pcapng", link), ipv6=True)
    playback.play()
    assert playback.ended() == {"complete": 1}


def test_unknown_link_type_is_refused(tmp_path):
    path = conversations(1).write(tmp_path / "a.pcap", 147)
    with pytest.raises(DataplaneError, match=r"a\.pcap: link type .*147.* cannot be replayed") as caught:
        Playback([path])
    assert caught.value.errno == errno.EPROTONOSUPPORT


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, r"a\.pcap cannot be read: No such file"),
        (b"", r"a\.pcap is no capture file \(pcap or pcapng\)"),
        (b"GIF89a" + bytes(100), r"a\.pcap is no capture file \(pcap or pcapng\)"),
        (pcap([])[:10], r"a\.pcap is no capture file \(pcap or pcapng\)"),
    ],
    ids=["absent", "empty", "garbage", "header breaks off"],
)
def test_what_is_no_capture_is_refused(tmp_path, content, sentence):
    path = tmp_path / "a.pcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataplaneError, match=sentence):
        Playback([path])


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataplaneError, match="is no regular file"):
        Playback([tmp_path])


def test_bounds_are_refused(tmp_path):
    path = conversations(1).write(tmp_path / "a.pcap")
    with pytest.raises(DataplaneError, match="0 capture files"):
        Playback([])
    with pytest.raises(DataplaneError, match="65 capture files"):
        Playback([path] * 65)
    with pytest.raises(DataplaneError, match="speed is -1"):
        Playback([path], speed=-1.0)
    with pytest.raises(DataplaneError, match="too long"):
        Playback([tmp_path / ("x" * 1100)])


def test_a_capture_without_frames_is_over_at_once(make, tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([]))
    assert make(path).play().frames == 0


def test_files_are_merged_by_time(make, tmp_path):
    """The client's direction in one file, the server's in another, a second client in a third."""
    tape = conversations(1, 3, apart=0.5)
    other = Tape()
    other.wait(0.25)
    other.conversation(("198.18.0.11", 5000)).whole()
    sides: dict[bytes, Tape] = {b"\x00P": Tape(), b"\x9c@": Tape()}
    for time, data in tape.frames:
        sides[data[34:36]].frames.append((time, data))
    paths = [
        each.write(tmp_path / f"{number}.{suffix}")
        for number, (each, suffix) in enumerate(
            zip([*sides.values(), other], ("pcap", "pcapng", "pcap"), strict=True)
        )
    ]
    playback = make(*paths)
    progress = playback.play()
    assert playback.ended() == {"complete": 2}
    assert playback.times("S") == pytest.approx([0, 0.25], abs=0.002)
    assert progress.bytes == sum(path.stat().st_size for path in paths)
    assert playback.count("drop_mirror_duplicate") == 0


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0, 3.0])
def test_speed_without_accumulating_error(make, tmp_path, speed):
    count = 200
    playback = make(conversations(count, apart=1 / 3).write(tmp_path / "a.pcap", nano=True), speed=speed)
    playback.play(stride=0.002)
    starts = playback.times("S")
    assert len(starts) == count
    wanted = [number / 3 / speed for number in range(count)]
    assert max(late - due for late, due in zip(starts, wanted, strict=True)) <= 0.0021
    assert min(late - due for late, due in zip(starts, wanted, strict=True)) >= -1e-6


def test_idle_cap_shortens_silences(make, tmp_path):
    tape = Tape()
    for number, gap in enumerate((3600, 0.1, 86400, 0.0)):
        tape.conversation(("198.18.0.10", 40000 + number)).whole()
        tape.wait(gap)
    playback = make(tape.write(tmp_path / "a.pcap"), idle_cap=500 * MILLISECOND)
    progress = playback.play()
    assert playback.times("S") == pytest.approx([0, 0.5, 0.6, 1.1], abs=0.002)
    assert progress.position == pytest.approx(1.1 * SECOND, abs=1000)


def test_frames_out_of_order_and_a_clock_that_is_set(make, tmp_path):
    """A small step back is released at once; after a large one the capture goes on from there."""
    tape = conversations(3, apart=1.0)
    whole = len(tape.frames) // 3
    swapped = [
        (time - (200_000 if index % 5 == 3 else 0), data) for index, (time, data) in enumerate(tape.frames)
    ]
    swapped = [
        (time - (7200 * SECOND if index >= 2 * whole else 0), data)
        for index, (time, data) in enumerate(swapped)
    ]
    tape.frames = swapped
    playback = make(tape.write(tmp_path / "a.pcap"))
    playback.play()
    assert playback.ended() == {"complete": 3}
    assert playback.times("S") == pytest.approx([0, 1, 1], abs=0.002)


def test_repeats_are_whole_and_fresh(make, tmp_path):
    """At once, although all keys still linger and the initial sequence numbers of the capture come again."""
    path = conversations(5, 2, apart=0.01).write(tmp_path / "a.pcap")
    playback = make(path, repeats=4)
    progress = playback.play(seconds=10)
    assert playback.ended() == {"complete": 20}
    assert playback.responder.requests() == 40
    assert playback.count("drop_mirror_duplicate") == 0
    assert (progress.repeat, progress.repeats) == (4, 4)
    assert progress.bytes == progress.bytes_total == 4 * path.stat().st_size
    assert playback.count("capture_repeats") == 4
    playback.run(0.5)
    assert playback.dataplane.capture_progress() == progress


def test_a_repeat_waits_for_the_sessions_of_the_one_before(make, tmp_path):
    playback = make(conversations(3).write(tmp_path / "a.pcap"), target=Responder(delay=2000), repeats=2)
    playback.play()
    starts = playback.times("S")
    assert playback.ended() == {"complete": 6}
    assert max(starts[:3]) < 0.1
    assert min(starts[3:]) > 2.0


def test_connections_that_the_capture_leaves_open_are_delivered(make, tmp_path):
    """With an answer of known size, with one of unknown size, and without a request."""
    tape = Tape()
    known, unknown, idle = (tape.conversation(("198.18.0.10", 40000 + number)) for number in range(3))
    for talk in (known, unknown, idle):
        talk.client.connect()
    known.ask()
    unknown.client.says(b"GET /")
    playback = make(tape.write(tmp_path / "a.pcap"), target=Responder(delay=700), repeats=2)
    playback.play(seconds=10)
    assert playback.ended() == {"capture_ended": 6}
    assert playback.responder.requests() == 4
    assert playback.responder.resets == 6


def test_pause_shifts_the_clock(make, tmp_path):
    playback = make(conversations(10, apart=0.1).write(tmp_path / "a.pcap"))
    playback.run(0.45)
    playback.dataplane.pause_capture()
    playback.run(100, stride=0.01)
    assert playback.dataplane.capture_progress().paused
    assert len(playback.times("S")) == 5
    playback.dataplane.resume_capture()
    playback.play()
    assert playback.times("S") == pytest.approx(
        [0.1 * n + (100 if n > 4 else 0) for n in range(10)], abs=0.02
    )


def test_a_pause_in_a_hole_is_no_gap(make, tmp_path):
    """Reordered segments with a pause between them, longer than gap_timeout."""
    tape = Tape()
    talk = tape.conversation()
    talk.client.connect()
    first = talk.client.segment("A", b"GET")
    talk.client.next = 3
    second = talk.client.segment("PA", b" /")
    tape.mirror(second)
    tape.wait(0.2)
    tape.mirror(first)
    talk.client.next = 5
    talk.server.says(b"200 OK")
    talk.close()
    playback = make(tape.write(tmp_path / "a.pcap"))
    playback.run(0.1)
    playback.dataplane.pause_capture()
    playback.run(10, stride=0.005)
    playback.dataplane.resume_capture()
    playback.play()
    assert playback.ended() == {"complete": 1}


def test_pause_before_the_first_frame(make, tmp_path):
    playback = make(conversations(2, apart=0.5).write(tmp_path / "a.pcap"))
    playback.dataplane.pause_capture()
    playback.run(3)
    playback.dataplane.resume_capture()
    playback.play()
    assert playback.times("S") == pytest.approx([3, 3.5], abs=0.01)


def test_fast_takes_no_longer_than_the_target(make, tmp_path):
    """An hour of conversations; the target needs 10 ms for each request."""
    playback = make(
        conversations(300, 2, apart=12.0).write(tmp_path / "a.pcap"), target=Responder(delay=10), fast=True
    )
    playback.play(seconds=5)
    assert playback.ended() == {"complete": 300}
    assert playback.responder.requests() == 600
    assert playback.responder.most <= 70


HASTE = pytest.mark.parametrize("how", [{"fast": True}, {"speed": 1e6}], ids=["fast", "speed"])


@HASTE
def test_haste_lets_a_connection_finish_before_its_port_is_used_again(make, tmp_path, how):
    tape = Tape()
    for number in range(50):
        tape.conversation(isn=5000 * number).whole(2)
        tape.wait(60)
    playback = make(tape.write(tmp_path / "a.pcap"), target=Responder(delay=5), **how)
    playback.play(seconds=20)
    assert playback.ended() == {"complete": 50}
    assert playback.responder.requests() == 100


@HASTE
def test_haste_supersedes_what_the_capture_leaves_open_once_it_is_delivered(make, tmp_path, how):
    tape = Tape()
    for number in range(5):
        talk = tape.conversation(isn=5000 * number)
        talk.client.connect()
        talk.ask()
    playback = make(tape.write(tmp_path / "a.pcap"), **how)
    playback.play(seconds=20)
    assert playback.ended() == {"superseded": 4, "capture_ended": 1}
    assert playback.responder.requests() == 5


def test_fast_with_many_connections_open_at_once(make, tmp_path):
    """More at once than may be closing: each waits for nothing but its own answers."""
    tape = Tape()
    talks = [tape.conversation(("198.18.0.10", 20000 + number)) for number in range(400)]
    for talk in talks:
        talk.client.connect()
    for _ in range(3):
        for talk in talks:
            talk.ask()
    for talk in talks:
        talk.close()
    playback = make(tape.write(tmp_path / "a.pcap"), fast=True)
    playback.play(seconds=30)
    assert playback.ended() == {"complete": 400}
    assert playback.responder.requests() == 1200


@pytest.mark.parametrize("fast", [False, True])
def test_a_small_table_delays_and_loses_nothing(make, tmp_path, fast):
    limits = Limits(connections=8, sessions=8, buffer_bytes=32 << 20)
    playback = make(
        conversations(60).write(tmp_path / "a.pcap"),
        target=Responder(delay=20),
        limits=limits,
        fast=fast,
        timing=Timing(linger=SECOND // 10),
    )
    playback.play()
    assert playback.ended() == {"complete": 60}
    assert playback.count("drop_mirror_table_full") == 0
    assert playback.count("capture_waits") > 0


def test_a_table_full_of_open_connections_does_not_wait_for_ever(make, tmp_path):
    """Their ends are still to be read: waiting would help nobody."""
    tape = Tape()
    talks = [tape.conversation(("198.18.0.10", 20000 + number)) for number in range(12)]
    for talk in talks:
        talk.client.connect()
    for talk in talks:
        talk.ask()
        talk.close()
    limits = Limits(connections=8, sessions=8, buffer_bytes=32 << 20)
    playback = make(tape.write(tmp_path / "a.pcap"), limits=limits)
    playback.play(seconds=5)
    assert playback.ended() == {"complete": 8}
    assert playback.count("drop_mirror_table_full") == 4 * 2  # the SYN, and the request


@pytest.mark.parametrize("fast", [False, True])
def test_little_memory_delays_and_loses_nothing(make, tmp_path, fast):
    """A bulk upload through 64 kB of buffers, and more than backlog_bytes ahead of the target."""
    tape = Tape()
    talk = tape.conversation()
    talk.client.connect()
    for _ in range(400):
        talk.client.says(BULK)
    talk.server.says(b"200 OK")
    talk.close()
    limits = Limits(connections=64, sessions=64, buffer_bytes=200_000, backlog_bytes=65536)
    playback = make(
        tape.write(tmp_path / "a.pcap"),
        target=Responder(request=BULK * 400),
        limits=limits,
        fast=fast,
    )
    playback.play()
    assert playback.ended() == {"complete": 1}
    assert b"".join(payload for _, payload in playback.responder.received) == BULK * 400


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("how", [{}, {"fast": True}, {"speed": 100.0}], ids=["pace", "fast", "speed"])
def test_several_workers_share_a_capture(make, tmp_path, workers, how):
    tape = Tape()
    for number in range(150):
        tape.conversation(("198.18.0.10", 30000 + number)).whole(2)
        tape.wait(0.002)
    playback = make(tape.write(tmp_path / "a.pcap"), workers=workers, repeats=2, **how)
    playback.play()
    assert playback.ended() == {"complete": 300}
    assert playback.responder.requests() == 600
    assert playback.count("drop_mirror_handoff_full") == 0
    assert playback.count("mirror_handed_off") > 0


def test_frames_of_merged_segments_are_replayed(make, tmp_path):
    """A host's capture has segments as large as IP allows, because its NIC splits them."""
    tape = Tape()
    talk = tape.conversation()
    talk.client.connect()
    talk.client.says(BULK * 60)
    talk.server.says(b"200 OK")
    talk.close()
    for workers in (1, 2):
        playback = make(tape.write(tmp_path / "a.pcap"), target=Responder(request=BULK * 60), workers=workers)
        playback.play()
        assert playback.ended() == {"complete": 1}
        assert b"".join(payload for _, payload in playback.responder.received) == BULK * 60


def test_truncated_frames_are_counted(make, tmp_path):
    playback = make(conversations(1).write(tmp_path / "a.pcap", snap=60))
    playback.play()
    assert playback.count("drop_mirror_truncated") > 0


@pytest.mark.parametrize("cut", [1, 8, 17, 40])
def test_a_file_that_breaks_off_has_a_reason_and_the_others_go_on(make, tmp_path, cut):
    broken = conversations(4, apart=0.1).write(tmp_path / "broken.pcap")
    broken.write_bytes(broken.read_bytes()[:-cut])
    whole = Tape()
    whole.wait(1)
    whole.conversation(("198.18.0.11", 5000)).whole()
    playback = make(broken, whole.write(tmp_path / "whole.pcap"), repeats=2)
    progress = playback.play()
    assert playback.responder.requests() == 10
    assert progress.broken == playback.count("capture_broken") == 1
    assert progress.bytes == progress.bytes_total
    (trouble,) = playback.dataplane.capture_troubles().items()
    assert trouble[0] == str(broken)
    assert "its rest is left out after 35 frames: truncated dump file" in trouble[1]


def test_interfaces_of_different_link_types_have_a_reason(make, tmp_path):
    path = conversations(1).write(tmp_path / "a.pcapng")
    other = conversations(1).write(tmp_path / "b.pcapng", RAW).read_bytes()
    path.write_bytes(path.read_bytes() + other[28:])
    playback = make(path)
    assert playback.play().broken == 1
    assert playback.ended() == {"complete": 1}


def test_datagrams_are_replayed_and_a_repeat_need_not_wait_for_their_timeout(make, tmp_path):
    tape = Tape()
    for number in range(20):
        layers = IP(src="198.18.0.10", dst="198.18.0.2") / UDP(sport=4000 + number % 5, dport=80)
        tape.mirror(bytes(Ether(dst="02:00:00:00:00:02") / layers / b"question"))
        tape.wait(0.01)
    path = tape.write(tmp_path / "a.pcap")
    playback = make(path, target=Silence(), transport=Transport.UDP, repeats=2)
    playback.play(seconds=5)
    assert playback.count("datagrams_sent") == 40
    assert playback.count("sessions_opened") == 10


def test_stop_in_the_middle_leaves_the_rest_unread(make, tmp_path):
    playback = make(conversations(10, apart=1).write(tmp_path / "a.pcap"))
    playback.run(3.5)
    playback.dataplane.drain()
    playback.run(20, stride=0.01)
    progress = playback.dataplane.capture_progress()
    assert not progress.finished
    assert progress.frames == 4 * 9 == playback.count("mirror_frames")


def test_without_a_capture_there_is_no_progress(scene):
    with pytest.raises(DataplaneError):
        scene.dataplane.capture_progress()
    with pytest.raises(DataplaneError, match="no capture"):
        scene.dataplane.pause_capture()


def test_a_capture_stands_alone(scene):
    config = scene._config()
    port = Port(PortKind.CAPTURE, PortRole.MIRROR, capture=Capture(("a",)))
    with pytest.raises(DataplaneError, match="only mirror port"):
        Dataplane(replace(config, ports=(*config.ports, port)))
    test = Port(PortKind.CAPTURE, PortRole.TEST)
    with pytest.raises(DataplaneError, match="cannot be a test port"):
        Dataplane(replace(config, ports=(config.ports[0], test)))


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=600),
    st.sampled_from([ETHERNET, RAW, SLL, SLL2, NULL, LOOP]),
    st.sampled_from([".pcap", ".pcapng"]),
    st.integers(0, 400),
)
def test_garbage_behind_a_valid_header_is_survived(garbage, link, suffix, kept):
    """Whole conversations, then garbage, or garbage in the middle of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = conversations(2).write(Path(folder) / f"a{suffix}", link)
        path.write_bytes(path.read_bytes()[: 100 + kept * 4] + garbage)
        try:
            playback = Playback([path], target=Responder(), idle_cap=SECOND // 100, speed=1000.0)
        except DataplaneError:
            return
        playback.play(seconds=200, stride=0.005)
        playback.finish()
