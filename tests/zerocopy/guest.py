"""The appliance as a virtual machine in the lab: QEMU without KVM, two virtio NICs, the real engine inside.

Its mirror port takes the place of ``mirror0`` behind the switch, its test port that of ``test0`` before the
target; the lab's own two devices stay, unused.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tests.zerocopy import image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.lab import Lab
    from appliance.lab.topology import Role
    from tests.zerocopy.kernel import Kernel

MODULES = ("failover", "net_failover", "virtio_net")
MIRROR_MAC = "02:00:00:00:01:01"
TEST_MAC = "02:00:00:00:01:02"
MIRROR_TAP = "tap-mirror"
TEST_TAP = "tap-test"
MEMORY_MB = 2048
HUGE_PAGES = 200  # of 2 MiB: 32 for each queue of the mirror port, 12 for each of the test port
# Without KVM a second counts for about a tenth of one.
READY_TIMEOUT_S = 240.0
STOP_TIMEOUT_S = 120.0
STEP_S = 0.05
# Frames that wait in a tap: more than the test sends in all, so that the slow guest loses none.
TAP_FRAMES = 100_000
HOOKS = ("egress", "ingress")
PREFERENCE = 9
COPY_ALL = f"pref {PREFERENCE} protocol all u32 match u32 0 0 action mirred egress"
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Outcome:
    """What the guest says when it has stopped."""

    status: int
    report: list[str]
    counters: dict[str, dict[str, int]]
    ledger: dict[str, Any]


class Guest:
    """The virtual machine; ``start`` boots it and waits for ``ready``, ``stop`` has its account."""

    def __init__(self, lab: Lab, kernel: Kernel, folder: Path, queues: int, *, rss: bool = False) -> None:
        """``folder`` is the caller's to remove.

        ``rss``: the test port's device spreads frames by a Toeplitz hash that the driver tells; else the tap
        does as it likes.
        """
        self.lab = lab
        self.kernel = kernel
        self.folder = folder
        self.queues = queues
        self.rss = rss
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, configuration: dict[str, Any]) -> None:
        """Boots it with the engine's configuration; raises RuntimeError, with all it said, if that fails."""
        self._write_image(configuration)
        self._make_taps()
        with (self.folder / "said").open("wb") as said:
            self._process = self.lab.exec(
                "appliance", self._argv(), stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT
            )
        self._wait_for("booted", READY_TIMEOUT_S)
        self._lead_frames()
        self._order("start")
        self._wait_for("ready", READY_TIMEOUT_S)

    def stop(self) -> Outcome:
        """Ends the engine as an operator would, and the guest after it."""
        self._order("stop")
        self._wait_for("=== end", STOP_TIMEOUT_S)
        return _outcome(self.said().replace("\r", ""))

    def close(self) -> None:
        """Ends it by force if it still runs; its devices go with it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        tidy: tuple[tuple[Role, str], ...] = (
            *(("switch", f"tc filter del dev to-production {hook} pref {PREFERENCE}") for hook in HOOKS),
            ("switch", f"ip link del {MIRROR_TAP}"),
            ("appliance", f"ip link del {MIRROR_TAP}"),
            ("appliance", f"ip link del {TEST_TAP}"),
            ("appliance", "tc qdisc del dev test0 clsact"),
        )
        for role, command in tidy:  # whichever of them it got so far as to make
            self.lab.run(role, command.split(), check=False)

    def said(self) -> str:
        """What came over the second serial line: xdpcopy's output, and the answers to orders."""
        return (self.folder / "said").read_text(errors="replace")

    def _write_image(self, configuration: dict[str, Any]) -> None:
        settings = {
            "MODULES": " ".join(MODULES),
            "QUEUES": self.queues,
            "MIRROR_MAC": MIRROR_MAC,
            "TEST_MAC": TEST_MAC,
            "TEST_ADDRESS": f"{self.lab.appliance}/24",
            "PROJECT": image.ROOT,
            "PYTHON": sys.executable,
        }
        own = {
            "/init": (HERE / "init").read_bytes(),
            "/guest/config.yaml": yaml.safe_dump(configuration).encode(),
            "/guest/settings": "".join(
                f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()
            ).encode(),
        }
        own |= {f"/guest/{path.name}": path.read_bytes() for path in self.kernel.modules}
        image.write(self.folder / "initrd", own)

    def _make_taps(self) -> None:
        for tap in (MIRROR_TAP, TEST_TAP):
            self._run("appliance", f"ip tuntap add dev {tap} mode tap multi_queue vnet_hdr")
            self._run("appliance", f"ip link set {tap} txqueuelen {TAP_FRAMES} addrgenmode none up")

    def _lead_frames(self) -> None:
        """Copies from the switch, both directions of the target's device."""
        self._run("appliance", f"ip link set {MIRROR_TAP} netns {self.lab.namespace('switch')}")
        self._run("switch", f"ip link set {MIRROR_TAP} up")
        for hook in HOOKS:
            self._run("switch", f"tc filter add dev to-production {hook} {COPY_ALL} mirror dev {MIRROR_TAP}")
        for device in ("test0", TEST_TAP):
            self._run("appliance", f"tc qdisc add dev {device} clsact")
        self._run("appliance", f"tc filter add dev test0 ingress {COPY_ALL} redirect dev {TEST_TAP}")
        self._run("appliance", f"tc filter add dev {TEST_TAP} ingress {COPY_ALL} redirect dev test0")

    def _order(self, order: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        self._process.stdin.flush()

    def _argv(self) -> list[str]:
        argv = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]
        argv += ["-m", str(MEMORY_MB), "-smp", "2", "-nodefaults", "-display", "none", "-no-reboot"]
        argv += ["-kernel", str(self.kernel.image), "-initrd", str(self.folder / "initrd")]
        argv += ["-append", f"console=ttyS0 quiet panic=-1 hugepages={HUGE_PAGES}"]
        argv += ["-serial", f"file:{self.folder / 'console'}", "-serial", "stdio"]
        argv += ["-device", "virtio-rng-pci"]
        for number, (tap, mac) in enumerate(((MIRROR_TAP, MIRROR_MAC), (TEST_TAP, TEST_MAC))):
            argv += ["-netdev", f"tap,id=n{number},ifname={tap},script=no,downscript=no,vhost=off"]
            argv[-1] += f",queues={self.queues}"
            # Zero-copy needs iommu_platform and queue_reset. A vector for each ring, and two.
            argv += ["-device", f"virtio-net-pci,netdev=n{number},mac={mac},mq=on,disable-legacy=on"]
            argv[-1] += f",iommu_platform=on,queue_reset=on,vectors={2 * self.queues + 2}"
            if self.rss and tap == TEST_TAP:
                argv[-1] += ",rss=on,hash=on"
        return argv

    def _wait_for(self, line: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while line not in self.said().splitlines():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                console = (self.folder / "console").read_text(errors="replace")
                raise RuntimeError(f"the guest does not say '{line}': {self.said()}\nits console: {console}")
            time.sleep(STEP_S)

    def _run(self, role: Role, command: str) -> None:
        self.lab.run(role, command.split())


def _outcome(said: str) -> Outcome:
    start, *sections = said.split("\n=== ")
    texts = dict(section.split("\n", 1) for section in (*sections[:-1], sections[-1] + "\n"))
    status = re.search(r"^exit status: (\d+)$", start, re.MULTILINE)
    assert status is not None, said
    return Outcome(
        status=int(status[1]),
        report=start.splitlines(),
        counters={name: dict(_counters(texts[name])) for name in ("mirror0", "test0")},
        ledger=json.loads(texts["ledger"]),
    )


def _counters(text: str) -> Iterator[tuple[str, int]]:
    for name, value in re.findall(r"^\s+(\S+): (\d+)$", text, re.MULTILINE):
        yield name, int(value)
