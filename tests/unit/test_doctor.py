"""The doctor's reading of frames and counts; its checks of a machine are in tests/e2e/test_doctor.py."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from appliance.contract.doctor import Verdict
from appliance.doctor import machine
from appliance.doctor.frames import ACK, SYN, Segment, read, write
from appliance.doctor.traffic import Listener, Traffic, counted, examine_traffic, some_client
from appliance.settings.loading import build
from dataplane.binding import COUNTERS

CONFIG = build(
    {
        "mirror": [{"device": "mirror0"}],
        "test": {"device": "test0"},
        "transfers": [{"source": "198.18.0.2:80", "target": "198.19.0.2:8080"}],
    }
)
V4 = (ip_address("198.18.0.1"), 40000), (ip_address("198.18.0.2"), 80)
V6 = (ip_address("fd00:198:18::1"), 40000), (ip_address("fd00:198:18::2"), 80)


def request(payload: bytes = b"GET /", **tcp: object) -> Packet:
    return (
        IP(src="198.18.0.1", dst="198.18.0.2") / TCP(**({"sport": 40000, "dport": 80} | tcp)) / Raw(payload)
    )


def verdicts(traffic: Traffic) -> dict[str, Verdict]:
    return {finding.id: finding.verdict for finding in examine_traffic(CONFIG, traffic)}


def heard(*packets: Packet, tagged: bool = False, apart: float = 1.0) -> Traffic:
    listener = Listener(CONFIG, 5)
    for number, packet in enumerate(packets):
        listener.take(bytes(packet), tagged=tagged, now=number * apart)
    return listener.traffic


@pytest.mark.parametrize("ends", [V4, V6])
def test_what_is_written_can_be_read_by_others(ends: object) -> None:
    segment = Segment(*ends, flags=SYN | ACK, seq=7, ack=9, payload=b"odd")  # type: ignore[misc]
    raw = write(segment)
    assert read(raw) == segment
    layer = (IP if raw[0] >> 4 == 4 else IPv6)(raw)
    found = layer[TCP].chksum
    del layer[TCP].chksum
    assert layer.__class__(bytes(layer))[TCP].chksum == found


def test_truncated_frames_are_told() -> None:
    whole = bytes(request(b"x" * 100))
    assert read(whole[:60]) == replace(read(whole) or Segment(*V4), payload=b"x" * 20, truncated=True)
    assert (read(whole[:30]) or Segment(*V4)).truncated
    assert read(whole[:10]) is None
    assert read(b"") is None


@pytest.mark.parametrize(
    ("packet", "name"),
    [
        (IP() / UDP(dport=4789) / Raw(b"x"), "VXLAN"),
        (IP() / UDP(dport=6081) / Raw(b"x"), "GENEVE"),
        (IP(proto=47) / Raw(b"abcd"), "GRE or ERSPAN"),
    ],
)
def test_tunnels_are_told(packet: Packet, name: str) -> None:
    traffic = heard(packet)
    assert traffic.tunnels == {name: 1}
    assert verdicts(traffic)["tunnel"] is Verdict.FAULT


def test_silence_is_a_fault() -> None:
    assert verdicts(Traffic(5)) == {"mirror": Verdict.FAULT}


def test_another_service_is_named() -> None:
    traffic = heard(IP(dst="198.18.0.9") / TCP(dport=443, flags="S"))
    (finding,) = (one for one in examine_traffic(CONFIG, traffic) if one.id == "service")
    assert finding.verdict is Verdict.FAULT
    assert "198.18.0.9:443 (1)" in finding.result


def test_directions() -> None:
    answer = IP(src="198.18.0.2", dst="198.18.0.1") / TCP(sport=80, dport=40000, flags="A") / Raw(b"200")
    assert verdicts(heard(request(), answer))["direction"] is Verdict.OK
    assert verdicts(heard(request()))["direction"] is Verdict.WARNING
    assert verdicts(heard(answer))["direction"] is Verdict.FAULT


def test_copies_of_copies_are_told_from_retransmissions() -> None:
    assert verdicts(heard(request(), request(), apart=0.001))["duplicates"] is Verdict.WARNING
    assert "duplicates" not in verdicts(heard(request(), request(), apart=0.2))


def test_tls_is_told_once_for_each_connection() -> None:
    traffic = heard(request(b"\x16\x03\x01hello"), request(b"\x17\x03\x03data", seq=99), request(sport=40001))
    assert (traffic.connections, traffic.tls) == (2, 1)
    assert verdicts(traffic)["tls"] is Verdict.WARNING


def test_vlan_is_no_fault() -> None:
    assert verdicts(heard(request(), tagged=True))["vlan"] is Verdict.OK


def test_client_for_the_probe_speaks_to_the_service() -> None:
    traffic = heard(request())
    assert some_client(traffic, 80, 4) == V4[0][0]
    assert some_client(traffic, 80, 6) is None
    assert some_client(traffic, 81, 4) is None
    assert some_client(None, 80, 4) is None


def test_an_engine_s_counters_say_the_same() -> None:
    before = {counter.name: 5 for counter in COUNTERS}
    after = before | {
        "mirror_frames": 105,
        "mirror_client_frames": 105,
        "protocol_tls": 7,
        "protocol_http1": 7,
    }
    traffic = counted(before, after, 1.0)
    assert (traffic.frames, traffic.client, traffic.server) == (100, 100, 0)
    assert (traffic.connections, traffic.tls) == (4, 2)
    assert verdicts(traffic)["direction"] is Verdict.WARNING


@pytest.mark.parametrize(
    ("release", "verdict"),
    [("6.1.0-18-amd64", Verdict.OK), ("5.9", Verdict.OK), ("5.4.0", Verdict.FAULT), ("odd", Verdict.FAULT)],
)
def test_kernel(release: str, verdict: Verdict) -> None:
    assert machine._kernel(release).verdict is verdict


def test_privileges() -> None:
    assert machine._privileges(0).verdict is Verdict.OK
    assert machine._privileges(1000).verdict is Verdict.FAULT
