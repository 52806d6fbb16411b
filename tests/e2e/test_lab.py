"""The lab itself: it comes up, is what it says, and goes away whole."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from appliance.lab import Lab, LabError
from appliance.lab.topology import DEVICES, ROLES, Direction, Role
from tests.e2e.capture import capture, frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PREFIX = "xl"
# One TCP connection from ADDRESS to a listener that is there for it alone.
LISTEN = """
import socket, sys
socket.create_server((sys.argv[1], 80), family=int(sys.argv[2])).accept()[0].recv(9)
"""
CONNECT = """
import socket, sys
socket.create_connection((sys.argv[2], 80), 5, (sys.argv[1], 0)).sendall(b"x")
print("ok")
"""
# Makes its host ask by broadcast for an address that nobody has.
ASK = """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", ("198.18.9.9", 9))
"""


def namespaces() -> list[str]:
    listed = subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True)
    return [line.split()[0] for line in listed.stdout.splitlines() if line.startswith(f"{PREFIX}-")]


def sent_by(lab: Lab, name: str) -> int:
    return next(device.tx_frames for device in lab.devices() if device.name == name)


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(PREFIX, clients=3) as built:
        yield built


def test_up_again_changes_nothing(lab: Lab) -> None:
    before = lab.run("client", ("ip", "link", "show", "client0")).stdout
    assert lab.up() is False
    assert lab.run("client", ("ip", "link", "show", "client0")).stdout == before


def test_up_with_other_settings_builds_anew(lab: Lab) -> None:
    del lab
    other = Lab(PREFIX, queues=2, target_mtu=1400)
    assert other.up() is True
    devices = {device.name: device for device in other.devices()}
    assert (devices["mirror0"].queues, devices["test0"].queues) == (2, 2)
    assert (devices["target0"].mtu, devices["test0"].mtu) == (1400, 1500)


def test_up_repairs_a_lab_that_lacks_a_device(lab: Lab) -> None:
    lab.run("appliance", ("ip", "link", "del", "mirror0"))
    assert not lab.complete()
    assert lab.up() is True
    assert lab.complete()


def test_down_removes_everything_also_when_half_of_it_is_missing(lab: Lab) -> None:
    subprocess.run(("ip", "netns", "del", lab.namespace("switch")), check=True)
    subprocess.run(("ip", "netns", "del", lab.namespace("target")), check=True)
    assert lab.down() is True
    assert namespaces() == []
    assert lab.down() is False


def test_down_ends_what_runs_in_the_lab_even_if_it_does_not_listen(lab: Lab) -> None:
    polite = lab.exec("target", ("sleep", "600"))
    stubborn = lab.exec("client", ("sh", "-c", "trap '' TERM; sleep 600 & wait; wait; sleep 600"))
    time.sleep(0.2)
    lab.down()
    assert polite.wait(1) != 0
    assert stubborn.wait(1) != 0
    assert namespaces() == []


def test_failing_build_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(PREFIX)
    monkeypatch.setattr("appliance.lab.topology.TARGET6", "nonsense")
    with pytest.raises(LabError, match="nonsense"):
        lab.up()
    assert namespaces() == []


def test_no_namespace_has_a_way_out(lab: Lab) -> None:
    wanted = {name for _, name in DEVICES} | {"lo"}
    for role in ROLES:
        for family in ("-4", "-6"):
            assert "default" not in lab.run(role, ("ip", family, "route")).stdout
        links = lab.run(role, ("ip", "-br", "link")).stdout.splitlines()
        assert {line.split()[0].split("@")[0] for line in links} <= wanted
    assert lab.run("appliance", ("sysctl", "-n", "net.ipv4.ip_forward")).stdout.strip() == "0"
    assert lab.run("appliance", ("sysctl", "-n", "net.ipv6.conf.all.forwarding")).stdout.strip() == "0"


@pytest.mark.parametrize("family", [2, 10], ids=["ipv4", "ipv6"])
def test_every_client_address_reaches_production(lab: Lab, family: int) -> None:
    server = str(lab.production if family == 2 else lab.production6)
    for client in lab.clients if family == 2 else lab.clients6:
        listener = lab.exec("production", (sys.executable, "-c", LISTEN, server, str(family)))
        while not lab.run("production", ("ss", "-Htln", "sport = :80")).stdout:
            time.sleep(0.02)
        try:
            said = lab.run("client", (sys.executable, "-c", CONNECT, str(client), server)).stdout
        finally:
            listener.terminate()
            listener.wait()
        assert said == "ok\n"


def test_mirror_port_is_silent_and_has_no_address(lab: Lab) -> None:
    shown = lab.run("appliance", ("ip", "address", "show", "mirror0")).stdout
    assert "inet" not in shown
    assert sent_by(lab, "mirror0") == 0


@pytest.mark.parametrize(
    ("direction", "copied"), [("both", {"client", "production"}), ("client", {"client"})]
)
def test_direction_decides_whose_frames_are_copied(
    tmp_path: Path, direction: Direction, copied: set[str]
) -> None:
    with Lab(PREFIX, direction=direction) as lab:
        with capture(lab, "appliance", tmp_path / "arp", "-i", lab.mirror_device, "arp") as path:
            roles: tuple[Role, ...] = ("client", "production")
            for role in roles:
                lab.run(role, (sys.executable, "-c", ASK))
            time.sleep(0.3)
        asked = "\n".join(frames(path))
    senders = {"client": f"tell {lab.client}", "production": f"tell {lab.production}"}
    assert {role for role, words in senders.items() if words in asked} == copied
