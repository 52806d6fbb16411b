"""The doctor finds each of the faults that are made in a lab, and names the cure.

The mirror's frames are made here, and sent into the mirror port from the switch's side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from appliance.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PREFIX = "xq"
LISTEN_S = 0.5
CLIENT, PRODUCTION = "198.18.0.1", "198.18.0.2"
# Sends the frames that it is given, over and over, until its input ends.
SENDER = """
import select, socket, sys
device, *frames = sys.argv[1:]
port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
port.bind((device, 0))
frames = [bytes.fromhex(frame) for frame in frames]
for turn in range(600):
    for frame in frames:
        port.send(frame)
    if select.select([sys.stdin], [], [], 0.1)[0]:
        break
"""
LISTENER = """
import socket, sys
peer = socket.create_server(("198.19.0.2", int(sys.argv[1])))
print("listens", flush=True)
sys.stdin.read()
"""


def tcp(source: tuple[str, int], destination: tuple[str, int], payload: bytes = b"", **fields: Any) -> Packet:
    ip = IP(src=source[0], dst=destination[0])
    return ip / TCP(sport=source[1], dport=destination[1], flags="PA", **fields) / Raw(payload)


REQUEST = tcp((CLIENT, 40000), (PRODUCTION, 80), b"GET / HTTP/1.1\r\n\r\n")
ANSWER = tcp((PRODUCTION, 80), (CLIENT, 40000), b"HTTP/1.1 200 OK\r\n\r\n")
DIALOGUE = (Ether() / REQUEST, Ether() / ANSWER)
TUNNEL = IP(src="198.18.0.8", dst="198.18.0.9") / UDP(dport=4789) / Raw(bytes(8)) / Ether() / REQUEST


class Ward:
    """A lab with a target that listens, and the doctor in it."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.directory = directory
        self.settings: dict[str, Any] = {
            "mirror": [{"device": "mirror0"}],
            "test": {"device": "test0"},
            "transfers": [{"source": f"{PRODUCTION}:80", "target": f"{lab.target}:8080"}],
            "stats": str(directory / "none.stats"),
        }

    @contextmanager
    def program(self, role: Any, text: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """It ends when its input does."""
        process = self.lab.exec(
            role,
            (sys.executable, "-c", text, *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.communicate(timeout=30)

    @contextmanager
    def mirrored(self, *frames: Packet) -> Iterator[None]:
        with self.program("switch", SENDER, "span0", *(bytes(frame).hex() for frame in frames)):
            yield

    def findings(self, *frames: Packet, **changes: Any) -> dict[str, dict[str, str]]:
        """By id; of several with one id the worst."""
        path = self.directory / "doctor.yaml"
        path.write_text(yaml.safe_dump(self.settings | changes))
        words = (
            sys.executable,
            "-m",
            "appliance.cli",
            "doctor",
            "--config",
            str(path),
            "--listen",
            str(LISTEN_S),
            "--json",
        )
        with self.mirrored(*frames):
            done = self.lab.run("appliance", words, check=False)
        found = json.loads(done.stdout)
        assert done.returncode == int(any(one["verdict"] == "fault" for one in found)), done.stderr
        order = ["ok", "skipped", "warning", "fault"]
        return {one["id"]: one for one in sorted(found, key=lambda one: order.index(one["verdict"]))}

    def ip(self, role: Any, *words: str) -> Callable[[], Any]:
        return lambda: self.lab.run(role, ("ip", *words))

    def sysctl(self, setting: str) -> Callable[[], Any]:
        return lambda: self.lab.run("appliance", ("sysctl", "-qw", setting))


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    with Lab(PREFIX) as lab:
        ward = Ward(lab, tmp_path_factory.mktemp("ward"))
        with ward.program("target", LISTENER, "8080") as listener:
            assert listener.stdout
            assert listener.stdout.readline() == "listens\n"
            yield ward


def test_a_sound_lab_has_no_fault(ward: Ward) -> None:
    found = ward.findings(*DIALOGUE)
    assert {one["verdict"] for one in found.values()} == {"ok"}, found
    assert set(found) >= {"kernel", "port", "mtu", "forwarding", "next_hop", "mirror", "direction", "answer"}


@pytest.mark.parametrize(
    ("check", "verdict", "frames", "cure"),
    [
        ("mirror", "fault", (), "mirror session"),
        ("service", "fault", (Ether() / tcp((CLIENT, 5000), (PRODUCTION, 81), b"x"),), "transfers[].source"),
        ("direction", "warning", DIALOGUE[:1], "both directions"),
        ("direction", "fault", DIALOGUE[1:], "other direction"),
        ("duplicates", "warning", (*DIALOGUE, *DIALOGUE), "one direction of each port"),
        (
            "tls",
            "warning",
            (Ether() / tcp((CLIENT, 40000), (PRODUCTION, 80), b"\x16\x03\x01"),),
            "where TLS is terminated",
        ),
        ("tunnel", "fault", (*DIALOGUE, Ether() / TUNNEL), "local port"),
        ("truncated", "fault", (Raw(bytes(DIALOGUE[0])[:-9]), DIALOGUE[1]), "truncation"),
        ("vlan", "ok", (Ether() / Dot1Q(vlan=7) / REQUEST, DIALOGUE[1]), ""),
    ],
)
def test_what_the_mirror_shows(
    ward: Ward, check: str, verdict: str, frames: tuple[Packet, ...], cure: str
) -> None:
    found = ward.findings(*frames)[check]
    assert (found["verdict"], cure in found["cure"]) == (verdict, True), found


FAULTS: dict[str, tuple[str, str, Callable[[Ward], Any], Callable[[Ward], Any], str]] = {
    "forwarding": (
        "forwarding",
        "fault",
        lambda ward: ward.sysctl("net.ipv4.ip_forward=1")(),
        lambda ward: ward.sysctl("net.ipv4.ip_forward=0")(),
        "sysctl -w net.ipv4.ip_forward=0",
    ),
    "offloads": (
        "offloads",
        "warning",
        lambda ward: ward.lab.run("appliance", ("ethtool", "-K", "mirror0", "gro", "on")),
        lambda ward: ward.lab.run("appliance", ("ethtool", "-K", "mirror0", "gro", "off")),
        "ethtool -K mirror0 gro off",
    ),
    "mtu": (
        "mtu",
        "fault",
        lambda ward: ward.ip("appliance", "link", "set", "test0", "mtu", "9300")(),
        lambda ward: ward.ip("appliance", "link", "set", "test0", "mtu", "1500")(),
        "ip link set test0 mtu",
    ),
    "port down": (
        "port",
        "fault",
        lambda ward: ward.ip("appliance", "link", "set", "mirror0", "down")(),
        lambda ward: ward.ip("appliance", "link", "set", "mirror0", "up")(),
        "ip link set mirror0 up",
    ),
    "no carrier": (
        "port",
        "fault",
        lambda ward: ward.ip("switch", "link", "set", "span0", "down")(),
        lambda ward: ward.ip("switch", "link", "set", "span0", "up")(),
        "repair the link",
    ),
    "route of the target": (
        "answer",
        "fault",
        lambda ward: ward.ip("target", "route", "del", "198.18.0.0/16")(),
        lambda ward: ward.ip("target", "route", "add", "198.18.0.0/16", "via", "198.19.0.1")(),
        f"ip route add {CLIENT}",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_lab_has(ward: Ward, name: str) -> None:
    check, verdict, make, mend, cure = FAULTS[name]
    make(ward)
    try:
        found = ward.findings(*DIALOGUE)
    finally:
        mend(ward)
    assert (found[check]["verdict"], cure in found[check]["cure"]) == (verdict, True), found


TRANSFER = {"source": f"{PRODUCTION}:80", "target": "198.19.0.2:8080"}


@pytest.mark.parametrize(
    ("check", "changes", "cure"),
    [
        ("answer", {"transfers": [TRANSFER | {"target": "198.19.0.2:8081"}]}, "start the server"),
        ("next_hop", {"transfers": [TRANSFER | {"target": "198.19.0.77:8080"}]}, "ip neigh"),
        ("port", {"test": {"device": "test9"}}, "ip -br link"),
        ("configuration", {"safety": {"allowed_targets": ["198.19.9.0/24"]}}, "correct it in"),
        (
            "pool_overlap",
            {
                "transfers": [TRANSFER | {"clients": ["198.18.7.0/24"]}],
                "safety": {"production_networks": ["198.18.7.128/25"]},
            },
            "without production hosts",
        ),
    ],
)
def test_what_the_configuration_says(ward: Ward, check: str, changes: dict[str, Any], cure: str) -> None:
    found = ward.findings(*DIALOGUE, **changes)[check]
    assert (found["verdict"], cure in found["cure"]) == ("fault", True), found
