"""The demonstration as a user starts it: its verdict, and that it leaves nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.demo.nginx import make_workspace
from appliance.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


PREFIX = "xd"
ARGV = (sys.executable, "-m", "appliance.demo", "--prefix", PREFIX)
WAIT_S = 60


@contextlib.contextmanager
def demo(*words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start it; whatever happens, nothing of it is left afterwards."""
    directory = make_workspace()
    process = subprocess.Popen(
        (*ARGV, *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment | {"TMPDIR": str(directory)},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        Lab(PREFIX).down()
        shutil.rmtree(directory)


def leftovers() -> list[str]:
    listed = subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.startswith(f"{PREFIX}-")]


def test_verdict_is_one_json_line_and_nothing_is_left() -> None:
    with demo("--requests", "1000", "--pause", "0.005") as process:
        out, err = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, out + err
        assert leftovers() == []
    (line,) = out.splitlines()
    verdict = json.loads(line)
    assert verdict["ok"] is True
    assert verdict["production"] == verdict["target"] == 1000
    assert [verdict[name] for name in ("missing", "duplicated", "out_of_order", "bodies_different")] == [
        0
    ] * 4
    assert verdict["ledger"]["closes"] is True
    assert "out of order within a connection" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_takes_everything_down(number: signal.Signals) -> None:
    with demo() as process:
        lab = Lab(PREFIX)
        deadline = time.monotonic() + WAIT_S
        while "appliance.demo.client" not in commands(lab) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(number)
        process.communicate(timeout=WAIT_S)
        assert process.returncode == 130
        assert leftovers() == []


def test_keep_leaves_it_running_and_says_how_to_end_it() -> None:
    with demo("--requests", "200", KEEP="1") as process:
        _, err = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, err
        assert f"xdpcopy lab down --prefix {PREFIX}" in err
        asked = [line.split() for line in err.splitlines() if " counters " in line or " lab status " in line]
        assert len(asked) == 2
        for shown in asked:
            subprocess.run(shown, check=True, capture_output=True)
        assert len(leftovers()) == 5
        lab = Lab(PREFIX)
        argv = ("curl", "-sf", "-H", "X-Request-Id: mine", "-o", "/dev/null", "-w", "%{http_code}")
        assert lab.run("client", (*argv, f"http://{lab.production}/64")).stdout == "200"
        log = Path(err.split("tail -f ")[1].split()[0])
        deadline = time.monotonic() + WAIT_S
        while "mine" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "mine" in log.read_text()
        running = commands(lab)
        assert "nginx" in running
        assert " run " in running
    assert leftovers() == []


def commands(lab: Lab) -> str:
    """Say what runs in the lab."""
    said = ""
    for role in ("client", "production", "appliance", "target"):
        pids = subprocess.run(
            ("ip", "netns", "pids", lab.namespace(role)), capture_output=True, text=True, check=False
        )
        for pid in pids.stdout.split():
            with contextlib.suppress(OSError):
                said += Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") + "\n"
    return said
