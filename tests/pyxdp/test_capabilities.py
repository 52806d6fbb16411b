"""What is said about devices."""

from __future__ import annotations

import socket
import sys

import pytest

from dataplane.binding import steer_object
from dataplane.pyxdp import AttachMode, Program, Queues, XdpError, capabilities, netdev
from dataplane.pyxdp.netdev import XdpFeature, XdpFeatures
from tests.pyxdp.conftest import ip

pytestmark = pytest.mark.e2e


@pytest.mark.usefixtures("_pair")
def test_veth_has_native_xdp_without_zero_copy():
    found = capabilities("px0")
    assert (found.driver, found.bus, found.mtu, found.up) == ("veth", "", 1500, True)
    assert found.ifindex == socket.if_nametoindex("px0")
    assert f"link/ether {found.mac} " in ip("link", "show", "px0")
    assert found.queues == Queues(combined=0, rx=2, tx=2, most_combined=0, most_rx=2, most_tx=2)
    assert found.queues.bindable == 2
    assert (found.native, found.zero_copy, found.native_mtu) == (True, False, 3506)
    assert found.notes == ("driver veth has no zero-copy: the kernel copies each frame",)


@pytest.mark.usefixtures("_quiet")
def test_device_without_xdp_says_so():
    ip("link", "add", "px2", "type", "bridge")
    found = capabilities("px2")
    assert (found.native, found.zero_copy, found.native_mtu) == (False, False, None)
    assert found.queues.bindable == 1
    assert "it is down: ip link set px2 up" in found.notes
    assert any("one is assumed" in note for note in found.notes)
    assert any("only generic mode" in note for note in found.notes)


@pytest.mark.usefixtures("_quiet")
def test_frames_of_an_mtu_that_one_buffer_does_not_hold_are_split_up_to_a_limit():
    for mtu, split in ((3506, False), (3507, True), (9216, True), (9217, False)):
        ip("link", "set", "px0", "mtu", str(mtu))
        found = capabilities("px0")
        assert (found.splits, found.split) == (True, split)
        assert any("mtu 9216, or less" in note for note in found.notes) == (mtu > 9216)


@pytest.mark.usefixtures("_quiet")
def test_mtu_that_stands_in_the_way_is_noted_with_the_cure(monkeypatch):
    ip("link", "set", "px0", "mtu", "9000")
    whole = XdpFeatures(XdpFeature.BASIC | XdpFeature.REDIRECT, None, None)  # of a driver that does not split
    monkeypatch.setitem(capabilities.__globals__, "xdp_features", lambda _: whole)
    found = capabilities("px0")
    assert (found.splits, found.split, found.largest_mtu) == (False, False, 3506)
    notes = found.notes
    assert "MTU 9000 does not fit a socket's frame: ip link set px0 mtu 3818, or less" in notes
    assert "MTU 9000 is too large for native XDP: ip link set px0 mtu 3506, or less" in notes


@pytest.mark.usefixtures("_quiet")
def test_native_mtu_of_veth_is_the_largest_that_attaches():
    largest = capabilities("px0").native_mtu
    assert largest is not None
    with Program.load(steer_object(), "steer_mirror") as program:
        for device in ("px0", "px1"):
            ip("link", "set", device, "mtu", str(largest))
        program.attach("px0", AttachMode.NATIVE).detach()
        ip("link", "set", "px1", "mtu", str(largest + 1))
        with pytest.raises(XdpError, match="its MTU is too large"):
            program.attach("px0", AttachMode.NATIVE)


@pytest.mark.usefixtures("_pair")
@pytest.mark.parametrize(("flags", "offered"), [(None, None), (0, False), (1, False), (2, True), (7, True)])
def test_checksums_for_what_sockets_send_are_told(monkeypatch, flags, offered):
    assert capabilities("px0").tx_checksum is False  # veth
    ask = netdev._ask

    def answer(*arguments):
        found = {kind: value for kind, value in ask(*arguments).items() if kind != netdev._XSK_FEATURES}
        told = {} if flags is None else {netdev._XSK_FEATURES: flags.to_bytes(8, sys.byteorder)}
        return found | (told if netdev._XDP_FEATURES in found else {})

    monkeypatch.setattr(netdev, "_ask", answer)
    assert capabilities("px0").tx_checksum is offered


@pytest.mark.usefixtures("_quiet")
def test_unknown_device_is_named():
    with pytest.raises(XdpError, match="there is no network device 'px9'"):
        capabilities("px9")


@pytest.mark.usefixtures("_pair")
def test_kernel_that_does_not_tell_gives_none_and_a_note(monkeypatch):
    monkeypatch.setattr(netdev, "_ask", lambda *_: {})
    found = capabilities("px0")
    assert (found.native, found.zero_copy) == (None, None)
    assert found.notes == (
        "this kernel does not report XDP features (Linux 6.3 does): try, and read back the mode",
    )
