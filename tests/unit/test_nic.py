"""Neighbours and mirror ports in network namespaces: a test device to a host, and a gateway beyond."""

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest

from appliance.engine import nic
from appliance.errors import DeviceError, NeighbourError

pytestmark = pytest.mark.e2e

HERE, THERE = f"xa-here-{os.getpid()}", f"xa-there-{os.getpid()}"
MAC = "02:00:00:00:00:02"
OTHER_MAC = "02:00:00:00:00:03"
CLONE_NEWNET = 0x40000000

BUILD = f"""\
ip netns add {HERE}
ip netns add {THERE}
ip -n {HERE} link add test0 type veth peer name host0 netns {THERE}
ip -n {THERE} link set host0 address {MAC} up
ip -n {HERE} link set test0 up
ip -n {HERE} address add 198.19.0.1/24 dev test0
ip -n {HERE} address add fd00:198:18:19::1/64 dev test0 nodad
ip -n {THERE} address add 198.19.0.2/24 dev host0
ip -n {THERE} address add fd00:198:18:19::2/64 dev host0 nodad
ip -n {HERE} route add 198.18.5.0/24 via 198.19.0.2
"""


def run(script, *, check=True):
    for line in script.splitlines():
        subprocess.run(line.split(), check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def namespaces():
    remove = f"ip netns del {HERE}\nip netns del {THERE}"
    try:
        run(BUILD)
        yield
    finally:
        run(remove, check=False)


@pytest.fixture
def inside(namespaces):  # noqa: ARG001 - has to be there
    """This thread is in the appliance's namespace; /proc/sys/net follows the process, so it comes too."""
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as stack:
        back = stack.enter_context(Path("/proc/self/ns/net").open("rb"))
        there = stack.enter_context(Path(f"/run/netns/{HERE}").open("rb"))
        assert threading.current_thread() is threading.main_thread()
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0
        stack.callback(libc.setns, back.fileno(), CLONE_NEWNET)
        yield


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("target", ["198.19.0.2", "fd00:198:18:19::2"])
def test_a_target_on_the_link_is_asked_for(target):
    target = ip_address(target)
    assert nic.Neighbours("test0").resolve([target]) == {target: nic.Hop(target, MAC)}


@pytest.mark.usefixtures("inside")
def test_a_target_beyond_a_gateway_has_the_gateways_address():
    target = ip_address("198.18.5.9")
    assert nic.Neighbours("test0").resolve([target]) == {target: nic.Hop(ip_address("198.19.0.2"), MAC)}


@pytest.mark.usefixtures("inside")
def test_a_neighbour_that_moves_is_seen():
    target = ip_address("198.19.0.2")
    neighbours = nic.Neighbours("test0")
    neighbours.resolve([target])
    run(f"ip -n {HERE} neigh replace 198.19.0.2 dev test0 lladdr {OTHER_MAC} nud permanent")
    try:
        assert neighbours.lookup([target]).hops[target].mac == OTHER_MAC
        assert neighbours.lookup([target]).hops[target].mac == OTHER_MAC
    finally:
        run(f"ip -n {HERE} neigh del 198.19.0.2 dev test0")
    assert neighbours.resolve([target])[target].mac == MAC


def memory_blocks():
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.usefixtures("inside")
def test_looking_for_months_takes_no_memory():
    target = ip_address("198.19.0.2")
    neighbours = nic.Neighbours("test0")
    for _ in range(50):
        neighbours.resolve([target])
    before = memory_blocks()
    for _ in range(1000):
        neighbours.lookup([target])
    assert memory_blocks() - before < 500


@pytest.mark.usefixtures("inside")
def test_a_silent_target_is_reported_with_what_to_check():
    with pytest.raises(NeighbourError) as caught:
        nic.Neighbours("test0").resolve([ip_address("198.19.0.2"), ip_address("198.19.0.77")], 0.1)
    assert "target 198.19.0.77 does not answer on test0" in str(caught.value)
    assert "ip route get 198.19.0.77 oif test0" in str(caught.value)


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("fd00:1::1", "no route through test0"),
        ("198.19.0.1", "an address of this machine"),
        ("198.19.0.255", "or of no single host"),
    ],
)
def test_an_impossible_target_is_refused_at_once(target, sentence):
    with pytest.raises(NeighbourError, match=sentence):
        nic.Neighbours("test0").resolve([ip_address(target)])


def test_an_unknown_device_is_named():
    with pytest.raises(DeviceError, match="there is no network device 'nothing0'"):
        nic.Neighbours("nothing0")


def state():
    shown = subprocess.run(["ip", "-d", "link", "show", "test0"], capture_output=True, text=True, check=True)
    ipv6 = Path("/proc/sys/net/ipv6/conf/test0/disable_ipv6").read_text().strip()
    return "NOARP" in shown.stdout, "promiscuity 1" in shown.stdout, ipv6


@pytest.mark.usefixtures("inside")
def test_a_silent_port_is_as_before_afterwards():
    before = state()
    assert before == (False, False, "0")
    with nic.silent("test0"):
        assert state() == (True, True, "1")
    assert state() == before


@pytest.mark.usefixtures("inside")
def test_a_silent_port_is_restored_after_a_failure():
    before = state()
    with contextlib.suppress(RuntimeError), nic.silent("test0"):
        raise RuntimeError
    assert state() == before


@pytest.mark.usefixtures("inside")
def test_forwarding_is_seen():
    run(f"ip netns exec {HERE} sysctl -qw net.ipv4.conf.test0.forwarding=0")
    assert nic.forwards("test0") == []
    run(f"ip netns exec {HERE} sysctl -qw net.ipv4.conf.test0.forwarding=1")
    assert nic.forwards("test0") == ["net/ipv4/conf/test0/forwarding"]


@pytest.mark.usefixtures("inside")
def test_addresses_are_listed_without_link_local_ones():
    assert "198.19.0.1" in nic.addresses("test0")
    assert not any(address.startswith("fe80") for address in nic.addresses("test0"))
