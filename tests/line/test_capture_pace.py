"""Capture files at their pace: speed, repeats, pauses, haste, back-pressure."""

from __future__ import annotations

import pytest

from dataplane.binding import SECOND, Limits, Timing
from tests.line.scene import MILLISECOND
from tests.line.tape import BULK, Responder, Tape, conversations


@pytest.mark.parametrize("speed", [0.5, 1.0, 10.0, 3.0])
def test_speed_without_accumulating_error(make_playback, tmp_path, speed):
    count = 200
    playback = make_playback(
        conversations(count, apart=1 / 3).write(tmp_path / "a.pcap", nano=True), speed=speed
    )
    playback.play(stride=0.002)
    starts = playback.times("S")
    assert len(starts) == count
    wanted = [number / 3 / speed for number in range(count)]
    assert max(late - due for late, due in zip(starts, wanted, strict=True)) <= 0.0021
    assert min(late - due for late, due in zip(starts, wanted, strict=True)) >= -1e-6


def test_idle_cap_shortens_silences(make_playback, tmp_path):
    tape = Tape()
    for number, gap in enumerate((3600, 0.1, 86400, 0.0)):
        tape.conversation(("198.18.0.10", 40000 + number)).whole()
        tape.wait(gap)
    playback = make_playback(tape.write(tmp_path / "a.pcap"), idle_cap=500 * MILLISECOND)
    progress = playback.play()
    assert playback.times("S") == pytest.approx([0, 0.5, 0.6, 1.1], abs=0.002)
    assert progress.position == pytest.approx(1.1 * SECOND, abs=1000)


def test_frames_out_of_order_and_a_clock_that_is_set(make_playback, tmp_path):
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
    playback = make_playback(tape.write(tmp_path / "a.pcap"))
    playback.play()
    assert playback.ended() == {"complete": 3}
    assert playback.times("S") == pytest.approx([0, 1, 1], abs=0.002)


def test_repeats_are_whole_and_fresh(make_playback, tmp_path):
    """At once, although all keys still linger and the initial sequence numbers of the capture come again."""
    path = conversations(5, 2, apart=0.01).write(tmp_path / "a.pcap")
    playback = make_playback(path, repeats=4)
    progress = playback.play(seconds=10)
    assert playback.ended() == {"complete": 20}
    assert playback.responder.requests() == 40
    assert playback.count("drop_mirror_duplicate") == 0
    assert (progress.repeat, progress.repeats) == (4, 4)
    assert progress.bytes == progress.bytes_total == 4 * path.stat().st_size
    assert playback.count("capture_repeats") == 4
    playback.run(0.5)
    assert playback.dataplane.capture_progress() == progress


def test_a_repeat_waits_for_the_sessions_of_the_one_before(make_playback, tmp_path):
    playback = make_playback(
        conversations(3).write(tmp_path / "a.pcap"), target=Responder(delay=2000), repeats=2
    )
    playback.play()
    starts = playback.times("S")
    assert playback.ended() == {"complete": 6}
    assert max(starts[:3]) < 0.1
    assert min(starts[3:]) > 2.0


def test_connections_that_the_capture_leaves_open_are_delivered(make_playback, tmp_path):
    """With an answer of known size, with one of unknown size, and without a request."""
    tape = Tape()
    known, unknown, idle = (tape.conversation(("198.18.0.10", 40000 + number)) for number in range(3))
    for talk in (known, unknown, idle):
        talk.client.connect()
    known.ask()
    unknown.client.says(b"GET /")
    playback = make_playback(tape.write(tmp_path / "a.pcap"), target=Responder(delay=700), repeats=2)
    playback.play(seconds=10)
    assert playback.ended() == {"capture_ended": 6}
    assert playback.responder.requests() == 4
    assert playback.responder.resets == 6


def test_pause_shifts_the_clock(make_playback, tmp_path):
    playback = make_playback(conversations(10, apart=0.1).write(tmp_path / "a.pcap"))
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


def test_a_pause_in_a_hole_is_no_gap(make_playback, tmp_path):
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
    playback = make_playback(tape.write(tmp_path / "a.pcap"))
    playback.run(0.1)
    playback.dataplane.pause_capture()
    playback.run(10, stride=0.005)
    playback.dataplane.resume_capture()
    playback.play()
    assert playback.ended() == {"complete": 1}


def test_pause_before_the_first_frame(make_playback, tmp_path):
    playback = make_playback(conversations(2, apart=0.5).write(tmp_path / "a.pcap"))
    playback.dataplane.pause_capture()
    playback.run(3)
    playback.dataplane.resume_capture()
    playback.play()
    assert playback.times("S") == pytest.approx([3, 3.5], abs=0.01)


def test_fast_takes_no_longer_than_the_target(make_playback, tmp_path):
    """An hour of conversations; the target needs 10 ms for each request."""
    playback = make_playback(
        conversations(300, 2, apart=12.0).write(tmp_path / "a.pcap"), target=Responder(delay=10), fast=True
    )
    playback.play(seconds=5)
    assert playback.ended() == {"complete": 300}
    assert playback.responder.requests() == 600
    assert playback.responder.most <= 70


HASTE = pytest.mark.parametrize("how", [{"fast": True}, {"speed": 1e6}], ids=["fast", "speed"])


@HASTE
def test_haste_lets_a_connection_finish_before_its_port_is_used_again(make_playback, tmp_path, how):
    tape = Tape()
    for number in range(50):
        tape.conversation(isn=5000 * number).whole(2)
        tape.wait(60)
    playback = make_playback(tape.write(tmp_path / "a.pcap"), target=Responder(delay=5), **how)
    playback.play(seconds=20)
    assert playback.ended() == {"complete": 50}
    assert playback.responder.requests() == 100


@HASTE
def test_haste_supersedes_what_the_capture_leaves_open_once_it_is_delivered(make_playback, tmp_path, how):
    tape = Tape()
    for number in range(5):
        talk = tape.conversation(isn=5000 * number)
        talk.client.connect()
        talk.ask()
    playback = make_playback(tape.write(tmp_path / "a.pcap"), **how)
    playback.play(seconds=20)
    assert playback.ended() == {"superseded": 4, "capture_ended": 1}
    assert playback.responder.requests() == 5


@pytest.mark.slow
def test_fast_with_many_connections_open_at_once(make_playback, tmp_path):
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
    playback = make_playback(tape.write(tmp_path / "a.pcap"), fast=True)
    playback.play(seconds=30)
    assert playback.ended() == {"complete": 400}
    assert playback.responder.requests() == 1200


@pytest.mark.parametrize("fast", [False, True])
def test_a_small_table_delays_and_loses_nothing(make_playback, tmp_path, fast):
    limits = Limits(connections=8, sessions=8, buffer_bytes=32 << 20)
    playback = make_playback(
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


def test_a_table_full_of_open_connections_does_not_wait_for_ever(make_playback, tmp_path):
    """Their ends are still to be read: waiting would help nobody."""
    tape = Tape()
    talks = [tape.conversation(("198.18.0.10", 20000 + number)) for number in range(12)]
    for talk in talks:
        talk.client.connect()
    for talk in talks:
        talk.ask()
        talk.close()
    limits = Limits(connections=8, sessions=8, buffer_bytes=32 << 20)
    playback = make_playback(tape.write(tmp_path / "a.pcap"), limits=limits)
    playback.play(seconds=5)
    assert playback.ended() == {"complete": 8}
    assert playback.count("drop_mirror_table_full") == 4 * 2  # the SYN, and the request


@pytest.mark.parametrize("fast", [False, True])
def test_little_memory_delays_and_loses_nothing(make_playback, tmp_path, fast):
    """A bulk upload through 64 kB of buffers, and more than backlog_bytes ahead of the target."""
    tape = Tape()
    talk = tape.conversation()
    talk.client.connect()
    for _ in range(400):
        talk.client.says(BULK)
    talk.server.says(b"200 OK")
    talk.close()
    limits = Limits(connections=64, sessions=64, buffer_bytes=200_000, backlog_bytes=65536)
    playback = make_playback(
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
def test_several_workers_share_a_capture(make_playback, tmp_path, workers, how):
    tape = Tape()
    for number in range(150):
        tape.conversation(("198.18.0.10", 30000 + number)).whole(2)
        tape.wait(0.002)
    playback = make_playback(tape.write(tmp_path / "a.pcap"), workers=workers, repeats=2, **how)
    playback.play()
    assert playback.ended() == {"complete": 300}
    assert playback.responder.requests() == 600
    assert playback.count("drop_mirror_handoff_full") == 0
    assert playback.count("mirror_handed_off") > 0
