"""Every branch of the steering programs, run by the kernel on single frames."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6
from scapy.packet import Raw

from dataplane.binding import PortRole, Transport
from dataplane.steering import Steering
from tests.pyxdp import frames
from tests.pyxdp.frames import (
    CLIENT4,
    CLIENT6,
    ENDPOINTS,
    FROM_SERVER,
    LINK,
    MALFORMED,
    OTHER4,
    OTHER6,
    OTHERS,
    PIECES_FROM_SERVER,
    PIECES_TO_SERVER,
    PORT,
    SERVER4,
    SERVER6,
    TO_SERVER,
    icmp6_error,
    icmp_error,
)

pytestmark = pytest.mark.e2e

TAKEN = ("REDIRECT", "redirected")
LOST = ("DROP", "no_socket")
DROPPED = ("DROP", "unwanted_dropped")
PASSED = ("PASS", "unwanted_passed")
BAD = ("DROP", "malformed")
ANY = [(None, PORT)]
PORTS_END = 4  # bytes of TCP that hold the ports
TCP_SIZE = 20


def each(*groups):
    """Parametrise by the frames of these groups."""
    cases = [(f"{name} #{n}", frame) for n, group in enumerate(groups) for name, frame in group.items()]
    return pytest.mark.parametrize("frame", [c[1] for c in cases], ids=[c[0] for c in cases])


# --- mirror ---


@each(TO_SERVER, FROM_SERVER, PIECES_TO_SERVER, PIECES_FROM_SERVER)
def test_mirror_frame_of_an_endpoint_goes_to_the_socket(steer, frame):
    assert steer(PortRole.MIRROR, ENDPOINTS).fate(bytes(frame)) == TAKEN


@each(TO_SERVER, FROM_SERVER, PIECES_TO_SERVER)
def test_mirror_without_a_socket_drops_wanted_frames(steer, frame):
    assert steer(PortRole.MIRROR, ENDPOINTS, connected=False, unwanted="pass").fate(bytes(frame)) == LOST


@each(OTHERS)
def test_mirror_drops_unwanted_frames(steer, frame):
    assert steer(PortRole.MIRROR, ENDPOINTS).fate(bytes(frame)) == DROPPED


@each(OTHERS)
def test_mirror_told_to_pass_passes_unwanted_frames(steer, frame):
    assert steer(PortRole.MIRROR, ENDPOINTS, unwanted="pass").fate(bytes(frame)) == PASSED


@each(MALFORMED)
@pytest.mark.parametrize("unwanted", ["drop", "pass"])
def test_mirror_drops_malformed_frames(steer, frame, unwanted):
    assert steer(PortRole.MIRROR, ENDPOINTS, unwanted=unwanted).fate(bytes(frame)) == BAD


@pytest.mark.parametrize(
    ("frame", "fate"),
    [
        (LINK / frames.tcp4(destination=OTHER4), TAKEN),
        (LINK / frames.tcp6(destination=OTHER6), TAKEN),
        (LINK / frames.tcp4(OTHER4, CLIENT4, sport=PORT, dport=1), TAKEN),
        (LINK / frames.tcp4(dport=frames.OTHER_PORT), DROPPED),
        (LINK / frames.later4(OTHER4, CLIENT4), TAKEN),
        (LINK / frames.later6(OTHER6, CLIENT6), TAKEN),
        (LINK / frames.later4(OTHER4, CLIENT4, protocol=17), DROPPED),
    ],
)
def test_mirror_with_any_address_takes_its_port_from_all(steer, frame, fate):
    assert steer(PortRole.MIRROR, ANY).fate(bytes(frame)) == fate


@pytest.mark.parametrize("address", [SERVER4, None], ids=["one address", "any address"])
def test_mirror_takes_datagrams_of_an_endpoint_of_udp_alone(steer, address):
    steering = steer(PortRole.MIRROR, [(ip_address(address) if address else None, PORT, Transport.UDP)])
    datagram = LINK / IP(src=CLIENT4, dst=SERVER4) / UDP(sport=1, dport=PORT)
    assert steering.fate(bytes(datagram)) == TAKEN
    assert steering.fate(bytes(LINK / frames.later4(SERVER4, CLIENT4, protocol=17))) == TAKEN
    assert steering.fate(bytes(LINK / frames.tcp4(destination=SERVER4))) == DROPPED


@pytest.mark.parametrize(("connected", "fate"), [(True, TAKEN), (False, LOST)])
def test_answers_of_a_udp_target_go_to_the_socket_or_nowhere(steer, connected, fate):
    endpoints = [(ip_address(SERVER4), PORT, Transport.UDP)]
    answer = bytes(LINK / IP(src=SERVER4, dst=CLIENT4) / UDP(sport=PORT, dport=1))
    assert steer(PortRole.TEST, endpoints, connected=connected).fate(answer) == fate


def test_mirror_gives_frames_only_to_the_socket_of_their_queue(steer):
    steered = steer(PortRole.MIRROR, ENDPOINTS)
    frame = bytes(TO_SERVER["ipv4"])
    assert steered.program.test_run(frame, "px0", queue=0).verdict.name == "REDIRECT"
    assert steered.program.test_run(frame, "px0", queue=1).verdict.name == "DROP"


def test_frame_is_not_changed(steer):
    frame = bytes(TO_SERVER["qinq"])
    assert steer(PortRole.MIRROR, ENDPOINTS).program.test_run(frame).frame == frame


# --- frames cut short ---


@each(TO_SERVER)
@pytest.mark.parametrize("role", PortRole)
def test_frame_cut_anywhere_is_malformed_until_the_ports_show(steer, role, frame):
    """Both programs, for every length that the kernel accepts."""
    data = bytes(frame if role is PortRole.MIRROR else swapped(frame))
    steered = steer(role, ENDPOINTS)
    ports_end = len(data) - TCP_SIZE + PORTS_END
    fragment_from = fragment_seen(data)
    for size in range(14, len(data) + 1):
        expected = TAKEN if size >= min(ports_end, fragment_from) else BAD
        assert steered.fate(data[:size]) == expected, f"{size} of {len(data)} bytes"


def swapped(frame):
    """The same frame from the server to the client."""
    frame = frame.copy()
    ip = frame.getlayer("IP") or frame.getlayer("IPv6")
    ip.src, ip.dst = ip.dst, ip.src
    tcp = frame.getlayer("TCP")
    tcp.sport, tcp.dport = tcp.dport, tcp.sport
    return frame


def fragment_seen(data):
    """The length from which a first fragment is known as one, and TCP as what it carries."""
    if data[12:14] == b"\x08\x00" and data[20] & 0x20:
        return 14 + 20
    if data[12:14] == b"\x86\xdd" and data[20] == 44:
        return 14 + 40 + 8 if data[54] == 6 else 14 + 40 + 8 + 8
    return len(data)


# --- test port ---


@each(FROM_SERVER, PIECES_FROM_SERVER)
def test_answer_of_a_target_goes_to_the_socket(steer, frame):
    assert steer(PortRole.TEST, ENDPOINTS).fate(bytes(frame)) == TAKEN


@each(FROM_SERVER, PIECES_FROM_SERVER)
def test_answer_that_no_socket_takes_ends_here(steer, frame):
    assert steer(PortRole.TEST, ENDPOINTS, connected=False).fate(bytes(frame)) == LOST


@each(TO_SERVER, PIECES_TO_SERVER, OTHERS)
def test_what_no_target_sent_goes_to_the_kernel(steer, frame):
    assert steer(PortRole.TEST, ENDPOINTS).fate(bytes(frame)) == PASSED


@pytest.mark.parametrize(
    "frame",
    [
        LINK / frames.tcp4(SERVER4, CLIENT4, sport=22, dport=40000),
        LINK / IPv6(src=SERVER6, dst=CLIENT6) / ICMPv6ND_NA(tgt=SERVER6),
        LINK / IPv6(src=SERVER6, dst=CLIENT6) / UDP(sport=PORT),
        LINK / frames.later4(OTHER4, CLIENT4),
        icmp_error(OTHER4, 3, frames.tcp4(destination=OTHER4)),
        icmp_error(OTHER4, 3, frames.tcp4(dport=frames.OTHER_PORT)),
        icmp_error(OTHER4, 3, Raw(bytes(frames.tcp4())[:22])),
        icmp6_error(OTHER6, 1, frames.tcp6(destination=OTHER6)),
    ],
)
def test_the_kernels_own_conversations_go_on(steer, frame):
    assert steer(PortRole.TEST, ENDPOINTS).fate(bytes(frame)) == PASSED


@pytest.mark.parametrize("source", [SERVER4, OTHER4], ids=["target", "router"])
@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
def test_icmp_error_about_a_replayed_segment_ends_here(steer, source, kind):
    quoted = frames.tcp4()
    assert steer(PortRole.TEST, ENDPOINTS).fate(bytes(icmp_error(source, kind, quoted))) == (
        "DROP",
        "icmp_dropped",
    )


@pytest.mark.parametrize("source", [SERVER6, OTHER6], ids=["target", "router"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_icmp6_error_about_a_replayed_segment_ends_here(steer, source, kind):
    quoted = frames.tcp6()
    assert steer(PortRole.TEST, ENDPOINTS).fate(bytes(icmp6_error(source, kind, quoted))) == (
        "DROP",
        "icmp_dropped",
    )


@each(MALFORMED)
def test_malformed_frame_ends_on_the_test_port_too(steer, frame):
    assert steer(PortRole.TEST, ENDPOINTS).fate(bytes(frame)) == BAD


# --- Steering ---


@pytest.mark.usefixtures("_quiet")
def test_target_without_address_is_refused():
    with pytest.raises(ValueError, match="needs an address"):
        Steering(PortRole.TEST, "px0", ANY)


def test_replaced_endpoints_are_the_only_ones(steer):
    steered = steer(PortRole.MIRROR, [*ENDPOINTS, *ANY])
    assert steered.fate(bytes(OTHERS["other address"])) == TAKEN
    steered.steering.replace_endpoints([ENDPOINTS[1]])
    assert steered.fate(bytes(OTHERS["other address"])) == DROPPED
    assert steered.fate(bytes(TO_SERVER["ipv4"])) == DROPPED
    assert steered.fate(bytes(PIECES_TO_SERVER["ipv4 later"])) == DROPPED
    assert steered.fate(bytes(TO_SERVER["ipv6"])) == TAKEN
    assert steered.fate(bytes(PIECES_TO_SERVER["ipv6 later"])) == TAKEN


def test_as_many_endpoints_as_transfers_can_be_steered(steer):
    many = [(ENDPOINTS[0][0], port) for port in range(1, 513)]
    steered = steer(PortRole.MIRROR, many)
    steered.steering.replace_endpoints([(ENDPOINTS[1][0], port) for port in range(1, 513)])
    with pytest.raises(ValueError, match="at most 512"):
        steered.steering.replace_endpoints([*many, (None, 1)])


def test_counts_stay_readable_after_close(steer):
    steered = steer(PortRole.MIRROR, ENDPOINTS)
    steered.fate(bytes(TO_SERVER["ipv4"]))
    steered.steering.close()
    steered.steering.close()
    assert steered.steering.counts()["redirected"] == 1
