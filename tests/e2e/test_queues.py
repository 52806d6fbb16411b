"""Queues: the ports have different numbers of them, and each direction comes on a mirror port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from appliance.lab import Lab
from tests.e2e.bed import PREFIX, PRODUCTION_PORT, RING_SIZE, TARGET_PORT, ends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.bed import Bed

REQUESTS = 2000
QUEUES = 4
TEST_QUEUES = 2


@pytest.fixture
def _own_lab(_clean: None) -> Iterator[None]:
    """Take the lab down afterwards: nobody else shall find it changed."""
    yield
    Lab(PREFIX).down()


def give_test_port_fewer_queues(lab: Lab) -> None:
    fewer = ("rx", str(TEST_QUEUES), "tx", str(TEST_QUEUES))
    lab.run("target", ("ethtool", "-L", "target0", *fewer))
    lab.run("appliance", ("ethtool", "-L", "test0", *fewer))


def mirror_each_direction_to_a_port(lab: Lab) -> None:
    """Leave the client's frames on mirror0; production's come on mirror1, of one queue."""
    appliance, switch = lab.namespace("appliance"), lab.namespace("switch")
    link = f"ip link add mirror1 netns {appliance} type veth peer name span1 netns {switch}"
    lab.run("appliance", link.split())
    lab.run(
        "appliance",
        ["ip", "link", "set", "mirror1", "addrgenmode", "none", "arp", "off", "multicast", "off", "up"],
    )
    lab.run("switch", ["ip", "link", "set", "span1", "up"])
    plain = ["tx", "off", "tso", "off", "gso", "off", "gro", "off"]
    lab.run("appliance", ("ethtool", "-K", "mirror1", *plain))
    lab.run("switch", ("ethtool", "-K", "span1", *plain))
    copy = "protocol all u32 match u32 0 0 action mirred egress mirror dev span1"
    for command in (
        "qdisc add dev span1 root pfifo limit 100000",
        "filter del dev to-production ingress",
        f"filter add dev to-production ingress {copy}",
    ):
        lab.run("switch", ("tc", *command.split()))


def put_off(lab: Lab) -> list[str]:
    """Read how the test port's interrupts are put off."""
    names = [f"/sys/class/net/test0/{name}" for name in ("napi_defer_hard_irqs", "gro_flush_timeout")]
    return lab.run("appliance", ("cat", *names)).stdout.split()


@pytest.mark.usefixtures("_own_lab")
@pytest.mark.every_copy
def test_two_mirror_ports_and_fewer_queues_to_the_target_make_one_replay(
    make_bed: Callable[..., Bed],
) -> None:
    bed = make_bed(queues=QUEUES)
    give_test_port_fewer_queues(bed.lab)
    mirror_each_direction_to_a_port(bed.lab)
    path = bed.directory / "xdpcopy.yaml"
    ports = [{"device": name, "ring_size": RING_SIZE} for name in ("mirror0", "mirror1")]
    configuration = {
        "mirror": ports,
        "test": {"device": "test0", "ring_size": RING_SIZE, "busy_poll": True},
        "transfers": [{"source": PRODUCTION_PORT, "target": f"{bed.lab.target}:{TARGET_PORT}"}],
        "workers": TEST_QUEUES,
    }
    path.write_text(yaml.safe_dump(configuration))
    bed.replay.arguments = ("--config", str(path))
    bed.replay.start()
    assert put_off(bed.lab) == ["2", "200000"]
    report = bed.client(REQUESTS, pause=0.01)
    bed.settle()
    counters = bed.finish()
    assert put_off(bed.lab) == ["0", "0"]
    account = bed.accounts()
    assert account.equal, account
    assert account.production == REQUESTS
    assert set(ends(counters)) <= {"complete", "client_reset"}
    assert counters["sessions_opened"] == report["connections"]
    frames = {port["device"]: port["xdp"]["redirected"] for port in bed.replay.ledger()["ports"]}
    assert min(frames.values()) > 0
    assert frames["mirror0"] + frames["mirror1"] == counters["mirror_frames"]
    said = bed.replay.output_path.read_text()
    for port in ("mirror port mirror0", "mirror port mirror1", "test port test0"):
        queues = {"mirror0": QUEUES, "mirror1": 1, "test0": TEST_QUEUES}[port.split()[-1]]
        modes = ", ".join(["copy"] * queues)
        assert f"{port}: driver veth, XDP native, socket of each queue: {modes}; " in said
    assert "; busy polling, buffers on " in said
