"""Sockets on a veth pair: px0 is steered into a socket, px1 is the other end of the wire."""

from __future__ import annotations

import errno
import os
import select
import socket as sockets
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from dataplane.binding import PortRole
from dataplane.pyxdp import AttachMode, Socket, SocketMode, XdpError
from dataplane.steering import Steering
from tests.pyxdp.conftest import eventually, ip
from tests.pyxdp.frames import TO_SERVER

pytestmark = pytest.mark.e2e

AF_XDP = 44
FRAME = bytes(TO_SERVER["ipv4"])


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [FRAME + n.to_bytes(4, "big").ljust(size - len(FRAME), b"\0") for n in range(count)]


@pytest.fixture
def steering(_pair):
    with Steering(PortRole.MIRROR, "px0", [(IPv4Address("198.18.0.1"), 8080)]) as steered:
        yield steered


@pytest.fixture
def receiver(steering):
    with Socket("px0", ring_size=256) as socket:
        socket.register(steering._program.maps["sockets"])
        yield socket


@pytest.fixture
def sender(_pair):
    with Socket("px1", ring_size=256) as socket:
        yield socket


@pytest.fixture
def wire(_pair):
    """The other end, as the kernel has it."""
    with sockets.socket(sockets.AF_PACKET, sockets.SOCK_RAW, sockets.htons(0x0003)) as packet:
        packet.bind(("px1", 0))
        packet.settimeout(2)
        yield packet


# --- frames ---


def test_mode_obtained_on_veth_is_copy(receiver):
    assert receiver.mode is SocketMode.COPY


def test_frames_arrive_whole_and_in_order(receiver, wire):
    sent = numbered(200)
    for frame in sent:
        wire.send(frame)
    assert receiver.receive(1000, timeout=2) == sent
    assert receiver.receive() == []


def test_what_waits_is_known_while_a_part_of_it_has_been_received(receiver, wire):
    for frame in numbered(10):
        wire.send(frame)
    assert eventually(lambda: receiver.waiting == 10)
    assert len(receiver.receive(4)) == 4
    for frame in numbered(20):
        wire.send(frame)
    assert eventually(lambda: receiver.waiting == 26)
    assert len(receiver.receive(100)) == 26
    assert receiver.waiting == 0


@pytest.mark.parametrize("size", [60, 1514, 1518])
@pytest.mark.usefixtures("_pair")
def test_frames_leave_whole_and_in_order(sender, size):
    sent = numbered(20, size)
    with sockets.socket(sockets.AF_PACKET, sockets.SOCK_RAW, sockets.htons(0x0003)) as other:
        other.bind(("px0", 0))
        other.settimeout(2)
        assert sender.send(sent) == 20
        assert [other.recv(4096) for _ in sent] == sent


def test_socket_to_socket_every_frame_of_many_arrives(receiver, sender):
    """Far more than the rings hold: each is filled, emptied, and filled again."""
    sent = numbered(5000)
    got: list[bytes] = []
    at = 0
    while at < len(sent):
        at += sender.send(sent[at : at + 100])
        got += receiver.receive(1000, timeout=2)
    got += receiver.receive(1000, timeout=0.1)
    assert got == sent
    assert eventually(lambda: sender.room == 256), "every sent frame came back"


def test_one_send_takes_what_there_is_room_for(sender):
    ip("link", "set", "px1", "down")
    with pytest.raises(XdpError, match="cannot send on queue 0 of px1: Network is down"):
        sender.send(numbered(200))
    with pytest.raises(XdpError):
        sender.send(numbered(100))
    assert sender.room == 0
    ip("link", "set", "px1", "up")
    assert sender.send([]) == 0
    assert eventually(lambda: sender.room == 256)


@pytest.mark.usefixtures("_pair")
def test_jumbo_frames_up_to_the_limit():
    for device in ("px0", "px1"):
        ip("link", "set", device, "mtu", "3506")
    steering = Steering(PortRole.MIRROR, "px0", [(IPv4Address("198.18.0.1"), 8080)])
    with steering, Socket("px0") as receiver, Socket("px1") as sender:
        receiver.register(steering._program.maps["sockets"])
        sent = numbered(3, 3520)
        assert sender.send(sent) == 3
        assert receiver.receive(3, timeout=2) == sent


@pytest.mark.parametrize("mtu", [3507, 9000, 9216])
def test_frames_of_several_buffers_are_received_in_one_piece(mtu, wire):
    for device in ("px0", "px1"):
        ip("link", "set", device, "mtu", str(mtu))
    endpoints = [(IPv4Address("198.18.0.1"), 8080)]
    with (
        Steering(PortRole.MIRROR, "px0", endpoints, AttachMode.NATIVE, fragments=True) as steering,
        Socket("px0", ring_size=64, fragments=True) as receiver,
    ):
        receiver.register(steering._program.maps["sockets"])
        for size in (60, 2048, 3000, mtu + 14) * 40:  # more than all of the ring's buffers, several times
            (frame,) = numbered(1, size)
            wire.send(frame)
            assert receiver.receive(1, timeout=2) == [frame]
        batch = [frame for size in (60, mtu + 14, 64, mtu) for frame in numbered(1, size)]
        for frame in batch:
            wire.send(frame)
        got: list[bytes] = []
        while len(got) < len(batch):
            got += receiver.receive(1, timeout=2)
        assert got == batch


@pytest.mark.usefixtures("_pair")
def test_more_than_a_jumbo_frame_is_refused():
    ip("link", "set", "px0", "mtu", "9217")
    with pytest.raises(XdpError, match="ip link set px0 mtu 9216, or less"):
        Socket("px0", fragments=True)


def test_receive_waits_no_longer_than_told(receiver):
    assert receiver.receive(timeout=0.05) == []


def test_descriptor_can_be_polled(receiver, wire):
    assert select.select([receiver], [], [], 0) == ([], [], [])
    wire.send(FRAME)
    assert select.select([receiver], [], [], 2)[0] == [receiver]


@pytest.mark.parametrize("size", [0, 13, 2049])
def test_what_is_no_frame_is_refused_and_costs_no_room(sender, size):
    with pytest.raises(ValueError, match=f"a frame of {size} bytes; 14 to 2048 can be sent"):
        sender.send([FRAME, bytes(size)])
    assert eventually(lambda: sender.room == 256)


def test_frames_of_many_queues_go_each_to_its_socket(steering, wire):
    with Socket("px0", 0) as first, Socket("px0", 1) as second:
        for socket in (first, second):
            socket.register(steering._program.maps["sockets"])
        frames = numbered(20)
        for frame in frames:
            wire.send(frame)
        eventually(lambda: steering.counts()["redirected"] == 20)
        assert sorted(first.receive() + second.receive()) == frames


@pytest.mark.usefixtures("_pair")
def test_receive_only_socket_cannot_send():
    with Socket("px0", transmit=False) as socket:
        assert socket.room == 0
        with pytest.raises(XdpError, match="opened to receive only"):
            socket.send([FRAME])
        raw = sockets.socket(AF_XDP, sockets.SOCK_RAW, 0, fileno=os.dup(socket.fileno()))
        with raw, pytest.raises(OSError, match="No buffer space"):
            raw.send(b"", sockets.MSG_DONTWAIT)


@pytest.mark.usefixtures("_pair")
def test_generic_mode_receives_too(sender):
    with (
        Steering(PortRole.MIRROR, "px0", [(IPv4Address("198.18.0.1"), 8080)], AttachMode.GENERIC) as steering,
        Socket("px0") as receiver,
    ):
        receiver.register(steering._program.maps["sockets"])
        sender.send(numbered(10))
        assert receiver.receive(10, timeout=2) == numbered(10)


# --- statistics ---


def test_statistics_count_what_the_process_was_too_slow_for(receiver, sender, steering):
    for _ in range(8):
        sender.send(numbered(100))
    assert eventually(lambda: steering.counts()["redirected"] == 800)
    assert receiver.statistics().rx_ring_full == 800 - 256
    assert len(receiver.receive(1000)) == 256
    assert sender.statistics().tx_invalid_descs == 0


# --- errors ---


@pytest.mark.usefixtures("_quiet")
def test_unknown_device_is_named():
    with pytest.raises(XdpError, match="there is no network device 'px9'") as caught:
        Socket("px9")
    assert caught.value.errno == errno.ENODEV


@pytest.mark.parametrize("device", ["", "a" * 15, "a" * 16, "a" * 300])
@pytest.mark.usefixtures("_quiet")
def test_impossible_device_name_is_no_more_than_an_error(device):
    with pytest.raises(XdpError, match="there is no network device"):
        Socket(device)


@pytest.mark.usefixtures("_pair")
def test_queue_that_is_not_there_is_named():
    with pytest.raises(XdpError, match=r"cannot bind to queue 2 of px0 .*: the device has no such queue"):
        Socket("px0", 2)


@pytest.mark.usefixtures("_pair")
def test_zero_copy_without_the_driver_names_driver_and_cure():
    with pytest.raises(
        XdpError, match=r"driver veth\): the driver has no zero-copy .*; use mode copy or auto"
    ):
        Socket("px0", mode=SocketMode.ZEROCOPY)


@pytest.mark.usefixtures("_pair")
def test_second_socket_on_a_queue_is_refused():
    with Socket("px0"), pytest.raises(XdpError, match="another AF_XDP socket is bound to it"):
        Socket("px0")


@pytest.mark.usefixtures("_quiet")
def test_mtu_that_no_frame_carries_is_refused_with_the_largest():
    ip("link", "set", "px0", "mtu", "3819")
    with pytest.raises(
        XdpError, match=r"the MTU 3819 of px0 does not fit .*; ip link set px0 mtu 3818, or less"
    ):
        Socket("px0")
    ip("link", "set", "px0", "mtu", "3818")
    Socket("px0").close()


@pytest.mark.parametrize("ring_size", [0, 63, 100, 65536])
@pytest.mark.usefixtures("_pair")
def test_ring_that_is_no_power_of_two_is_refused(ring_size):
    with pytest.raises(XdpError, match=f"ring size {ring_size} is not a power of two from 64 to 32768"):
        Socket("px0", ring_size=ring_size)


@pytest.mark.parametrize("ring_size", [64, 32768])
@pytest.mark.usefixtures("_pair")
def test_smallest_and_largest_ring_can_be_had(ring_size):
    with Socket("px0", ring_size=ring_size) as socket:
        assert socket.room == ring_size


def test_map_that_holds_no_sockets_is_refused(steering):
    with Socket("px0") as socket, pytest.raises(XdpError, match="cannot put queue 0 of px0 into settings"):
        socket.register(steering._program.maps["settings"])


@pytest.mark.usefixtures("_pair")
def test_closed_socket_says_so():
    socket = Socket("px0")
    socket.close()
    socket.close()
    with pytest.raises(XdpError, match="the socket of queue 0 of px0 is closed"):
        socket.receive()


@pytest.mark.usefixtures("_pair")
def test_without_capability_the_cure_is_named():
    code = "from dataplane.pyxdp import Socket; Socket('px0')"
    drop = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    done = subprocess.run([*drop, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "not permitted; run as root or with CAP_NET_RAW" in done.stderr


# --- what stays behind ---


@pytest.mark.usefixtures("_pair")
def test_queue_is_free_again_after_close():
    for _ in range(5):
        Socket("px0").close()


@pytest.mark.usefixtures("_pair")
def test_failed_and_closed_sockets_leave_neither_memory_nor_descriptors():
    def held() -> tuple[int, int]:
        descriptors = list(Path("/proc/self/fd").iterdir())
        return len(Path("/proc/self/maps").read_text().splitlines()), len(descriptors)

    def use() -> None:
        with pytest.raises(XdpError):
            Socket("px0", mode=SocketMode.ZEROCOPY)
        Socket("px0").close()

    use()
    before = held()
    for _ in range(5):
        use()
    assert held() == before
