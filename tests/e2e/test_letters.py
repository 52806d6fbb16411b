"""Letters of tcpcopy against real servers: sizes of segments, and the daemon."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from appliance.demo.process import PROGRAM
from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT, assert_ledger_closes, nonzero
from tests.e2e.test_options import OptionsBed, _own_lab, options_bed

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

__all__ = ["_own_lab", "options_bed"]  # fixtures

END_TIMEOUT_S = 10.0
ETHERNET, HEADERS = 14, 40

# What arrives at the target: SYNs, those whose MSS is another one, and packets that are too large.
WATCH = """
table ip watch {{
 counter syns {{}}
 counter unlike {{}}
 counter large {{}}
 chain arriving {{
  type filter hook input priority 0; policy accept;
  tcp flags == syn counter name syns
  tcp flags == syn tcp option maxseg size != {mss} counter name unlike
  ip length > {largest} counter name large
 }}
}}
"""


def watch(bed: OptionsBed, mss: int, largest: int) -> None:
    """Count from now on."""
    path = bed.directory / "watch.nft"
    path.write_text(WATCH.format(mss=mss, largest=largest))
    bed.lab.run("target", ("nft", "-f", str(path)))


def watched(bed: OptionsBed) -> dict[str, int]:
    """What was counted; no more is."""
    listed = json.loads(bed.lab.run("target", ("nft", "-j", "list", "counters")).stdout)["nftables"]
    bed.lab.run("target", ("nft", "delete", "table", "ip", "watch"))
    return {each["counter"]["name"]: each["counter"]["packets"] for each in listed if "counter" in each}


@pytest.mark.parametrize(
    ("letter", "mss", "largest"),
    [(("-D", "536"), 536, 1500), (("-M", "600"), 600 - HEADERS, 600)],
    ids=["-D", "-M"],
)
@pytest.mark.every_copy
def test_segments_are_as_large_as_was_said(
    options_bed: OptionsBed, letter: tuple[str, str], mss: int, largest: int
) -> None:
    """-D bounds what the target may send, -M what either side does."""
    bed = options_bed
    watch(bed, mss, largest)
    try:
        bed.start_letters(*letter)
        bed.client(1000, parallel=16)
        bed.settle()
        counters = bed.finish()
    finally:
        found = watched(bed)
    assert found == {"syns": counters["sent_syn"], "unlike": 0, "large": 0}
    assert counters["answer_bytes"] <= counters["test_payload"] * mss
    account = bed.accounts()
    assert account.equal, (account, nonzero(counters))


def daemon(bed: OptionsBed, *words: str) -> subprocess.CompletedProcess[str]:
    """Start it; what came back, at once."""
    bed.replay.directory.mkdir()
    devices = ("-i", bed.lab.mirror_device, "-o", bed.lab.test_device)
    transfer = ("-x", f"{PRODUCTION_PORT}-{bed.lab.target}:{TARGET_PORT}")
    files = ("--ledger", str(bed.replay.ledger_path), "--stats", str(bed.replay.stats_path))
    return bed.lab.run("appliance", (*PROGRAM, "run", *devices, *transfer, *files, *words), check=False)


def end(pid: Path) -> None:
    """End the daemon that is named there, and wait until it is gone."""
    os.kill(int(pid.read_text()), signal.SIGTERM)
    deadline = time.monotonic() + END_TIMEOUT_S
    while pid.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.every_copy
def test_d_returns_when_frames_can_flow_and_replays_on(options_bed: OptionsBed) -> None:
    bed = options_bed
    log, pid = bed.directory / "log", bed.directory / "pid"
    started = daemon(bed, "-d", "-l", str(log), "-P", str(pid))
    assert (started.returncode, started.stdout.splitlines()[-1:]) == (0, ["ready"]), started.stderr
    try:
        bed.client(400, parallel=8)
        bed.settle()
    finally:
        end(pid)
    assert_ledger_closes(bed.replay.ledger())
    assert "ledger closes: yes" in log.read_text()
    bed.assert_nothing_attached()
    assert bed.accounts().equal


def test_d_that_cannot_start_says_so_and_leaves_nothing(options_bed: OptionsBed) -> None:
    bed = options_bed
    log, pid = bed.directory / "log", bed.directory / "pid"
    started = daemon(bed, "-d", "-l", str(log), "-P", str(pid), "-o", "nowhere0")
    assert started.returncode == 1
    assert "nowhere0" in started.stderr
    assert not pid.exists()
    bed.assert_nothing_attached()
