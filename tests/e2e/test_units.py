"""The two processes with what their systemd units leave them: capabilities, groups, no code from data."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from appliance.contract.appliance import GetStatus
from appliance.contract.client import Client
from appliance.contract.transfers import ListTransfers, TransferState
from appliance.demo import process
from appliance.service.privileges import CAPABILITIES
from tests.e2e.bed import PRODUCTION_PORT, RING_SIZE, TARGET_PORT, Bed

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

UNITS = Path(__file__).resolve().parents[2] / "configs" / "systemd"
USER = "www-data"  # in the place of xdpcopy
# MemoryDenyWriteExecute, by the kernel's own means (linux/prctl.h; refused by kernels before 6.3).
DATA_STAYS_DATA = """
import ctypes, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def capabilities(unit: str) -> str:
    """What the unit leaves, as setpriv wants it."""
    lines = (UNITS / unit).read_text().splitlines()
    (left,) = (line.partition("=")[2] for line in lines if line.startswith("CapabilityBoundingSet="))
    return ",".join(["-all", *(f"+{name.removeprefix('CAP_').lower()}" for name in left.split())])


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def confined(unit: str, *more: str) -> tuple[str, ...]:
    """Before a command: as the unit would start it."""
    group = str(grp.getgrnam(USER).gr_gid)
    limits = (f"--bounding-set={capabilities(unit)}", "--inh-caps=-all", "--no-new-privs")
    return (sys.executable, "-c", DATA_STAYS_DATA, "setpriv", *limits, f"--groups={group}", *more)


@pytest.fixture
def configuration(bed: Bed) -> Path:
    folder = bed.directory / "api"
    folder.mkdir(mode=0o750)
    os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
    bed.directory.chmod(0o755)
    path = bed.directory / "units.yaml"
    target = f"{bed.lab.target}:{TARGET_PORT}"
    settings = {
        "mirror": [{"device": bed.lab.mirror_device, "ring_size": RING_SIZE}],
        "test": {"device": bed.lab.test_device, "ring_size": RING_SIZE},
        "transfers": [{"source": str(PRODUCTION_PORT), "target": target}],
        "control": {
            "socket": str(bed.directory / "socket"),
            "state": str(bed.directory / "state"),
            "group": USER,
        },
        "api": {name: str(folder / name) for name in ("tokens", "audit", "certificate", "key")},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def api(bed: Bed, configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    user = pwd.getpwnam(USER)
    who = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}")
    argv = (*confined("xdpcopy-api.service", *who), *process.PROGRAM, "api", "--config", str(configuration))
    started = bed.lab.exec("appliance", argv)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.send_signal(signal.SIGTERM)
        started.wait(10)


@pytest.mark.every_copy
def test_engine_and_api_work_with_what_their_units_leave_them(
    bed: Bed, configuration: Path, api: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = confined("xdpcopy-engine.service")
    monkeypatch.setattr(process, "PROGRAM", (*before, *process.PROGRAM))
    bed.replay.command = "engine"
    bed.replay.arguments = ("--config", str(configuration))
    bed.replay.start()
    client = Client(bed.directory / "socket")
    status = Path(f"/proc/{client.call(GetStatus()).pid}/status").read_text()
    left = sum(1 << number for number in CAPABILITIES.values())
    assert f"CapBnd:\t{left:016x}" in status
    ready = ("curl", "-sf", "http://127.0.0.1:8600/ready")
    wait_until(lambda: client.call(ListTransfers()).items[0].state is TransferState.RUNNING)
    wait_until(lambda: bed.lab.run("appliance", ready, check=False).stdout == '{"api":"up","engine":"up"}')
    assert api.poll() is None
    bed.client(100)
    bed.settle()
    counters = bed.finish()
    assert counters["sessions_opened"] == counters["end_complete"]
    accounts = bed.accounts()
    assert accounts.equal
    assert accounts.target == 100
