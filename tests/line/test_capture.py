"""Capture files as a mirror port: formats, link types, merging, damage."""

from __future__ import annotations

import errno
import tempfile
from dataclasses import replace
from pathlib import Path

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
    Port,
    PortKind,
    PortRole,
    Transport,
)
from tests.line.tape import (
    BULK,
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
    Silence,
    Tape,
    conversations,
    pcap,
)


@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
@pytest.mark.parametrize("nano", [False, True])
def test_formats_and_resolutions(make_playback, tmp_path, suffix, nano):
    path = conversations(3, 2, apart=0.01).write(tmp_path / f"a.{suffix}", nano=nano)
    playback = make_playback(path)
    progress = playback.play()
    assert playback.ended() == {"complete": 3}
    assert playback.responder.requests() == 6
    assert progress.bytes == progress.bytes_total == path.stat().st_size
    assert progress.frames == playback.count("mirror_frames") == 3 * (3 + 2 * 3 + 3)
    assert (progress.repeat, progress.repeats, progress.broken) == (1, 1, 0)


@pytest.mark.parametrize("link", [ETHERNET, RAW, IPV4, SLL, SLL2, NULL, LOOP])
def test_link_types(make_playback, tmp_path, link):
    playback = make_playback(conversations(2).write(tmp_path / "a.pcap", link))
    playback.play()
    assert playback.ended() == {"complete": 2}


@pytest.mark.parametrize("link", [ETHERNET, RAW, IPV6, SLL, SLL2, NULL, LOOP])
def test_link_types_with_ipv6(make_playback, tmp_path, link):
    tape = Tape()
    tape.conversation(("fd00:198:18::10", 40000), ("fd00:198:18::2", 80)).whole()
    playback = make_playback(tape.write(tmp_path / "a.pcapng", link), ipv6=True)
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


def test_a_capture_without_frames_is_over_at_once(make_playback, tmp_path):
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([]))
    assert make_playback(path).play().frames == 0


def test_files_are_merged_by_time(make_playback, tmp_path):
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
    playback = make_playback(*paths)
    progress = playback.play()
    assert playback.ended() == {"complete": 2}
    assert playback.times("S") == pytest.approx([0, 0.25], abs=0.002)
    assert progress.bytes == sum(path.stat().st_size for path in paths)
    assert playback.count("drop_mirror_duplicate") == 0


def test_frames_of_merged_segments_are_replayed(make_playback, tmp_path):
    """A host's capture has segments as large as IP allows, because its NIC splits them."""
    tape = Tape()
    talk = tape.conversation()
    talk.client.connect()
    talk.client.says(BULK * 60)
    talk.server.says(b"200 OK")
    talk.close()
    for workers in (1, 2):
        playback = make_playback(
            tape.write(tmp_path / "a.pcap"), target=Responder(request=BULK * 60), workers=workers
        )
        playback.play()
        assert playback.ended() == {"complete": 1}
        assert b"".join(payload for _, payload in playback.responder.received) == BULK * 60


def test_truncated_frames_are_counted(make_playback, tmp_path):
    playback = make_playback(conversations(1).write(tmp_path / "a.pcap", snap=60))
    playback.play()
    assert playback.count("drop_mirror_truncated") > 0


@pytest.mark.parametrize("cut", [1, 8, 17, 40])
def test_a_file_that_breaks_off_has_a_reason_and_the_others_go_on(make_playback, tmp_path, cut):
    broken = conversations(4, apart=0.1).write(tmp_path / "broken.pcap")
    broken.write_bytes(broken.read_bytes()[:-cut])
    whole = Tape()
    whole.wait(1)
    whole.conversation(("198.18.0.11", 5000)).whole()
    playback = make_playback(broken, whole.write(tmp_path / "whole.pcap"), repeats=2)
    progress = playback.play()
    assert playback.responder.requests() == 10
    assert progress.broken == playback.count("capture_broken") == 1
    assert progress.bytes == progress.bytes_total
    (trouble,) = playback.dataplane.capture_troubles().items()
    assert trouble[0] == str(broken)
    assert "its rest is left out after 35 frames: truncated dump file" in trouble[1]


def test_interfaces_of_different_link_types_have_a_reason(make_playback, tmp_path):
    path = conversations(1).write(tmp_path / "a.pcapng")
    other = conversations(1).write(tmp_path / "b.pcapng", RAW).read_bytes()
    path.write_bytes(path.read_bytes() + other[28:])
    playback = make_playback(path)
    assert playback.play().broken == 1
    assert playback.ended() == {"complete": 1}


def test_datagrams_are_replayed_and_a_repeat_need_not_wait_for_their_timeout(make_playback, tmp_path):
    tape = Tape()
    for number in range(20):
        layers = IP(src="198.18.0.10", dst="198.18.0.2") / UDP(sport=4000 + number % 5, dport=80)
        tape.mirror(bytes(Ether(dst="02:00:00:00:00:02") / layers / b"question"))
        tape.wait(0.01)
    path = tape.write(tmp_path / "a.pcap")
    playback = make_playback(path, target=Silence(), transport=Transport.UDP, repeats=2)
    playback.play(seconds=5)
    assert playback.count("datagrams_sent") == 40
    assert playback.count("sessions_opened") == 10


def test_stop_in_the_middle_leaves_the_rest_unread(make_playback, tmp_path):
    playback = make_playback(conversations(10, apart=1).write(tmp_path / "a.pcap"))
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
