"""Loading, maps, attaching and detaching."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

from dataplane.pyxdp import AttachMode, Program, Verdict, XdpError, attached_mode
from tests.pyxdp.conftest import compile_bpf, eventually, ip

pytestmark = pytest.mark.e2e

SOURCE = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct pair { __u32 first; __u64 second; char text[4]; };

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u64);
} numbers SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, struct pair);
} pairs SEC(".maps");

SEC("xdp") int pass_all(struct xdp_md *ctx)
{
    __u32 zero = 0;
    struct pair *pair = bpf_map_lookup_elem(&pairs, &zero);
    if (pair) {
        pair->first += 1;
        pair->second += ctx->data_end - ctx->data;
    }
    return bpf_map_lookup_elem(&numbers, &zero) ? XDP_DROP : XDP_PASS;
}

SEC("xdp") int beyond_the_frame(struct xdp_md *ctx)
{
    return *(int *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual MIT/GPL";
"""


@pytest.fixture(scope="module")
def bpf_object(tmp_path_factory):
    return compile_bpf(SOURCE, tmp_path_factory.mktemp("bpf") / "program.o")


@pytest.fixture
def program(bpf_object):
    with Program.load(bpf_object, "pass_all") as loaded:
        yield loaded


def mode_of(device: str) -> AttachMode | None:
    return attached_mode(socket.if_nametoindex(device))


# --- loading ---


def test_program_that_is_not_in_the_object_is_named(bpf_object):
    with pytest.raises(XdpError, match="cannot load XDP program nothing: the object has no such program"):
        Program.load(bpf_object, "nothing")


def test_bytes_that_are_no_object_are_refused():
    with pytest.raises(XdpError, match="cannot load XDP program x"):
        Program.load(b"no ELF", "x")


def test_what_the_verifier_says_is_in_the_error(bpf_object):
    with pytest.raises(XdpError, match="invalid access to packet") as caught:
        Program.load(bpf_object, "beyond_the_frame")
    assert caught.value.errno == errno.EACCES


def test_closed_program_says_so(program):
    program.close()
    program.close()
    with pytest.raises(XdpError, match="program pass_all is closed"):
        program.test_run(bytes(60))


def test_run_gives_verdict_and_frame(program):
    run = program.test_run(b"\x01" * 60, repeat=100)
    assert (run.verdict, run.frame) == (Verdict.PASS, b"\x01" * 60)
    program.maps["numbers"].update(0, 1)
    assert program.test_run(bytes(60)).verdict is Verdict.DROP


@pytest.mark.parametrize("size", [0, 13])
def test_run_refuses_what_is_no_frame(program, size):
    with pytest.raises(XdpError, match=f"on a frame of {size} bytes"):
        program.test_run(bytes(size))


# --- maps ---


def test_map_keeps_what_it_is_told(program):
    numbers = program.maps["numbers"]
    numbers.update(7, 1 << 40)
    numbers.update((9).to_bytes(4, sys.byteorder), bytes(8))
    assert int.from_bytes(numbers.lookup(7), sys.byteorder) == 1 << 40
    assert {int.from_bytes(key, sys.byteorder) for key in numbers.keys()} == {7, 9}  # noqa: SIM118
    numbers.delete(7)
    assert len(list(numbers.keys())) == 1


def test_key_that_is_not_there_is_a_key_error(program):
    with pytest.raises(KeyError):
        program.maps["numbers"].lookup(1)
    with pytest.raises(KeyError):
        program.maps["numbers"].delete(1)


def test_full_map_says_how_much_it_holds(program):
    numbers = program.maps["numbers"]
    numbers.update(1, 1)
    numbers.update(2, 2)
    with pytest.raises(XdpError, match="cannot write to BPF map numbers: it holds at most 2 entries"):
        numbers.update(3, 3)


def test_key_of_a_wrong_size_is_refused(program):
    with pytest.raises(ValueError, match="3 bytes where the map has 4"):
        program.maps["numbers"].lookup(b"abc")


def test_per_cpu_members_are_summed_by_name(program):
    pairs = program.maps["pairs"]
    assert set(pairs.members) == {"first", "second"}, "text is no integer"
    for _ in range(3):
        program.test_run(bytes(60))
    assert pairs.read(0) == {"first": 3, "second": 180}
    assert len(pairs.lookup_each(0)) == os.cpu_count()
    pairs.update(1, bytes([1] + [0] * 23))
    assert pairs.read(1)["first"] == os.cpu_count()


# --- attaching ---


@pytest.mark.parametrize("mode", [AttachMode.NATIVE, AttachMode.GENERIC])
@pytest.mark.usefixtures("_pair")
def test_program_is_attached_as_asked_and_taken_off(program, mode):
    with program.attach("px0", mode) as link:
        assert link.mode is mode is mode_of("px0")
        assert ("xdpgeneric" in ip("link", "show", "px0")) == (mode is AttachMode.GENERIC)
    assert mode_of("px0") is None
    link.detach()


@pytest.mark.usefixtures("_pair")
def test_auto_is_native_where_the_driver_can(program):
    with program.attach("px0") as link:
        assert (link.mode, link.refusal) == (AttachMode.NATIVE, "")


@pytest.mark.usefixtures("_quiet")
def test_auto_is_generic_where_it_cannot_and_says_why(program):
    for device in ("px0", "px1"):
        ip("link", "set", device, "mtu", "9000")
    with program.attach("px0") as link:
        assert link.mode is AttachMode.GENERIC
        assert "its MTU is too large for XDP" in link.refusal
    with pytest.raises(XdpError, match="cannot attach in native mode to px0: its MTU is too large"):
        program.attach("px0", AttachMode.NATIVE)


@pytest.mark.usefixtures("_quiet")
def test_native_without_driver_support_names_the_cure(program):
    ip("link", "add", "px2", "type", "bridge")
    with pytest.raises(XdpError, match="has no XDP of that mode; use mode generic or auto"):
        program.attach("px2", AttachMode.NATIVE)
    assert program.attach("px2").mode is AttachMode.GENERIC


@pytest.mark.parametrize("mode", AttachMode)
@pytest.mark.usefixtures("_pair")
def test_second_program_is_refused_and_the_first_stays(bpf_object, program, mode):
    with program.attach("px0", AttachMode.NATIVE), Program.load(bpf_object, "pass_all") as second:
        with pytest.raises(XdpError, match="it has an XDP program"):
            second.attach("px0", mode)
        assert mode_of("px0") is AttachMode.NATIVE


@pytest.mark.usefixtures("_quiet")
def test_unknown_device_is_named(program):
    with pytest.raises(XdpError, match="there is no network device 'px9'"):
        program.attach("px9")


@pytest.mark.usefixtures("_pair")
def test_link_outlives_its_program(bpf_object):
    program = Program.load(bpf_object, "pass_all")
    with program.attach("px0"):
        program.close()
        assert mode_of("px0") is AttachMode.NATIVE


@pytest.mark.usefixtures("_quiet")
def test_detaching_from_a_device_that_is_gone_is_no_error(program):
    link = program.attach("px0")
    ip("link", "del", "px0")
    link.detach()


# --- crash ---

HOLDER = """
import sys, time
from ipaddress import IPv4Address
from dataplane.binding import PortRole
from dataplane.pyxdp import Socket
from dataplane.steering import Steering
with Steering(PortRole.TEST, "px0", [(IPv4Address("198.18.0.1"), 80)]) as steering, Socket("px0"):
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("_pair")
def test_killed_process_leaves_nothing_and_the_next_starts_at_once():
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
            try:
                assert holder.stdout is not None
                assert holder.stdout.readline() == "ready\n"
                assert mode_of("px0") is AttachMode.NATIVE
            finally:
                holder.send_signal(signal.SIGKILL)
        assert eventually(lambda: mode_of("px0") is None)
