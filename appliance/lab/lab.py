"""The lab as an object: builds it, runs programs in it, lists its devices, removes it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from appliance.errors import MachineError
from appliance.lab import topology
from appliance.lab.topology import Address, Command, Direction, Role, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

STATE_DIRECTORY = Path("/run/xdpcopy")
COMMAND_TIMEOUT_S = 60
PROCESS_GRACE_S = 2.0
CARRIER_TIMEOUT_S = 5.0


class LabError(MachineError):
    """The lab cannot be built or used."""


@dataclass(frozen=True)
class Device:
    """A device of the lab."""

    role: Role
    name: str
    state: str
    mtu: int
    queues: int
    addresses: tuple[str, ...]
    rx_frames: int
    tx_frames: int
    dropped: int


class Lab:
    """Five network namespaces, linked like a mirrored production site; a context manager.

    Raises LabError if a command fails, and then leaves nothing behind.
    """

    def __init__(
        self,
        prefix: str = "xdpcopy",
        *,
        queues: int = 1,
        direction: Direction = "both",
        clients: int = 1,
        target_mtu: int = topology.STANDARD_MTU,
    ) -> None:
        self.settings = Settings(prefix, queues, direction, clients, target_mtu)
        self.client: Address = topology.CLIENT.ip
        self.client6: Address = topology.CLIENT6.ip
        self.clients = self.settings.client_addresses()
        self.clients6 = self.settings.client_addresses6()
        self.production: Address = topology.PRODUCTION.ip
        self.production6: Address = topology.PRODUCTION6.ip
        self.appliance: Address = topology.APPLIANCE.ip
        self.appliance6: Address = topology.APPLIANCE6.ip
        self.target: Address = topology.TARGET.ip
        self.target6: Address = topology.TARGET6.ip
        self.mirror_device = topology.MIRROR_DEVICE
        self.test_device = topology.TEST_DEVICE

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def namespace(self, role: Role) -> str:
        """The network namespace of a role."""
        return self.settings.namespace(role)

    def up(self) -> bool:
        """Builds the lab unless one with the same settings exists. True if it was built."""
        _require_root()
        if self.complete() and self._saved() == asdict(self.settings):
            return False
        self.down()
        try:
            for command in topology.build(self.settings):
                _execute(command)
            self._wait_for_carrier()
            STATE_DIRECTORY.mkdir(parents=True, exist_ok=True)
            self._state.write_text(json.dumps(asdict(self.settings)))
        except BaseException:
            self.down()
            raise
        return True

    def down(self) -> bool:
        """Stops what runs in the lab and removes what exists of it. True if anything did."""
        _require_root()
        existing = _namespaces() & {self.namespace(role) for role in topology.ROLES}
        _end_processes(existing)
        for command in topology.remove(self.settings, existing):
            with contextlib.suppress(LabError):
                _execute(command)
        self._state.unlink(missing_ok=True)
        left = _namespaces() & existing
        if left:
            raise LabError(f"could not remove {', '.join(sorted(left))}; see `ip netns`")
        return bool(existing)

    def complete(self) -> bool:
        """Whether every device exists."""
        if not {self.namespace(role) for role in topology.ROLES} <= _namespaces():
            return False
        found = {(device.role, device.name) for device in self.devices()}
        return found == set(topology.DEVICES)

    def devices(self) -> list[Device]:
        """The devices as they are now."""
        existing = _namespaces()
        names = {name for _, name in topology.DEVICES}
        return [
            _device(role, link)
            for role in topology.ROLES
            if self.namespace(role) in existing
            for link in json.loads(
                _execute(Command(("ip", "-n", self.namespace(role), "-s", "-d", "-j", "address")))
            )
            if link.get("ifname") in names
        ]

    def exec(self, role: Role, argv: Sequence[str], **popen: Any) -> subprocess.Popen[Any]:  # noqa: ANN401 - Popen's
        """Starts a program in a namespace; the process id is the program's own.

        It has a session of its own, so Ctrl-C reaches only the caller, who must end what it started.
        """
        popen.setdefault("start_new_session", True)
        return subprocess.Popen(["ip", "netns", "exec", self.namespace(role), *argv], **popen)

    def run(
        self, role: Role, argv: Sequence[str], *, check: bool = True, timeout: float = COMMAND_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program in a namespace to its end, and captures its output."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace(role), *argv],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise LabError(f"{' '.join(argv)} in {role}: {done.stderr.strip() or done.stdout.strip()}")
        return done

    def _wait_for_carrier(self) -> None:
        deadline = time.monotonic() + CARRIER_TIMEOUT_S
        while not all(device.state == "up" for device in self.devices()):
            if time.monotonic() > deadline:
                down = [device.name for device in self.devices() if device.state != "up"]
                raise LabError(f"no carrier on {', '.join(down)}")
            time.sleep(0.02)

    @property
    def _state(self) -> Path:
        return STATE_DIRECTORY / f"lab-{self.settings.prefix}.json"

    def _saved(self) -> object:
        try:
            return json.loads(self._state.read_text())
        except (OSError, ValueError):
            return None


def _require_root() -> None:
    if os.geteuid():
        raise LabError("the lab needs root to make network namespaces; start it with sudo")


def _execute(command: Command) -> str:
    try:
        done = subprocess.run(
            command.argv,
            input="\n".join(command.lines) + "\n",
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command.argv[0]} is not installed") from error
    if done.returncode:
        raise LabError(f"{' '.join(command.argv)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _namespaces() -> set[str]:
    listed = _execute(Command(("ip", "netns", "list"))).splitlines()
    return {line.split()[0] for line in listed if line}


def _processes(namespaces: Iterable[str]) -> list[int]:
    pids: list[int] = []
    for name in namespaces:
        with contextlib.suppress(LabError):
            pids += [int(pid) for pid in _execute(Command(("ip", "netns", "pids", name))).split()]
    return [pid for pid in pids if pid != os.getpid()]


def _end_processes(namespaces: set[str]) -> None:
    """Ends every process in the lab, with SIGTERM and then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in _processes(namespaces):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + PROCESS_GRACE_S
        while _processes(namespaces):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return


def _device(role: Role, link: dict[str, Any]) -> Device:
    counts = link["stats64"]
    return Device(
        role=role,
        name=link["ifname"],
        state=link["operstate"].lower(),
        mtu=link["mtu"],
        queues=link["num_rx_queues"],
        addresses=tuple(
            f"{address['local']}/{address['prefixlen']}"
            for address in link["addr_info"]
            if address["scope"] == "global"
        ),
        rx_frames=counts["rx"]["packets"],
        tx_frames=counts["tx"]["packets"],
        dropped=counts["rx"]["dropped"] + counts["tx"]["dropped"],
    )
