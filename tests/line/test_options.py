"""Options whose effect is in the line: the filter of the mirror, the MSS, the address of loopback clients."""

from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP

from dataplane.binding import DataplaneError, check_filter


def test_filtered_frames_are_counted_and_not_replayed(make_scene):
    scene = make_scene(filter="tcp and not src host 198.18.0.3")
    for last in range(3, 7):
        scene.new_client(f"198.18.0.{last}", 40000)
        scene.client.shows("S", seq=-1)
    assert {segment.raw[IP].src for segment in scene.sent()} == {"198.18.0.4", "198.18.0.5", "198.18.0.6"}
    assert scene.count("drop_mirror_filtered") == 1
    assert scene.count("connections_opened") == 3


def test_a_filter_looks_at_the_mirror_alone(make_scene):
    scene = make_scene(filter="dst port 80")
    scene.client.connect()
    scene.expect("S")
    scene.target.accept()
    scene.expect("A")
    assert scene.count("drop_mirror_filtered") == 1  # production's SYN-ACK
    assert scene.count("drop_test_filtered") == 0


def test_a_filter_is_run_by_the_worker_that_receives(make_scene):
    scene = make_scene(filter="dst port 81", workers=4)
    scene.client.connect()
    scene.expect()
    assert scene.count("drop_mirror_filtered") == scene.count("mirror_frames") > 0
    assert scene.count("mirror_handed_off") == 0


@pytest.mark.parametrize("text", ["", "tcp port 80", "ip6 and ip6[53] & 2 != 0", "vlan and port 80"])
def test_filters_of_pcap_are_taken(text):
    check_filter(text)


@pytest.mark.parametrize(("text", "word"), [("tcp prot 80", "syntax"), ("port 99999999", "port")])
def test_what_is_no_filter_is_refused_in_the_words_of_libpcap(text, word):
    with pytest.raises(DataplaneError) as caught:
        check_filter(text)
    assert word in str(caught.value)


def test_a_filter_that_is_too_long_is_refused():
    with pytest.raises(DataplaneError) as caught:
        check_filter(" or ".join(f"tcp[{i}] = {i}" for i in range(1, 2000)))
    assert caught.value.strerror


@pytest.mark.parametrize(("mss", "announced"), [(0, 1460), (536, 536), (9000, 1460)])
def test_the_syn_announces_at_most_mss(make_scene, mss, announced):
    scene = make_scene(mss=mss)
    scene.client.shows("S", seq=-1, options=[("MSS", 1460)])
    assert scene.expect("S")[0].options["MSS"] == announced


def test_loopback_clients_keep_their_address_unless_told(make_scene):
    scene = make_scene()
    scene.new_client("127.0.0.1", 40000)
    scene.client.shows("S", seq=-1)
    assert scene.expect("S")[0].raw[IP].src == "127.0.0.1"


@pytest.mark.parametrize("settings", [{}, {"multiplier": 5}, {"workers": 4}])
def test_another_address_stands_for_loopback_clients(make_scene, settings):
    scene = make_scene(loopback_ip=ip_address("198.18.200.1"), **settings)
    for address in ("127.0.0.1", "127.1.2.3", "198.18.0.9"):
        scene.new_client(address, 40000)
        scene.client.shows("S", seq=-1)
    found = [(segment.raw[IP].src, segment.raw[TCP].sport) for segment in scene.sent()]
    copies = settings.get("multiplier", 1)
    assert len(found) == len(set(found)) == 3 * copies
    assert sorted(address for address, _ in found) == ["198.18.0.9"] * copies + ["198.18.200.1"] * 2 * copies
