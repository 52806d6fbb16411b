"""Frames on a device of the lab, as lines of tcpdump."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from appliance.lab import Lab
    from appliance.lab.topology import Role

START_TIMEOUT_S = 10.0


@contextmanager
def capture(lab: Lab, role: Role, path: Path, *words: str) -> Iterator[Path]:
    """Write a line to ``path`` for each frame; ``words`` are tcpdump's: device, direction, filter."""
    log = path.with_suffix(".log")
    with path.open("wb") as output, log.open("wb") as errors:
        argv = ("tcpdump", "-nlqt", "-B", "65536", "--immediate-mode", *words)
        dump = lab.exec(role, argv, stdout=output, stderr=errors)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while "listening" not in log.read_text():
            assert dump.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield path
    finally:
        dump.terminate()
        dump.wait(10)


def frames(path: Path) -> list[str]:
    """Read what was captured, but for the empty line with which tcpdump ends."""
    return [line for line in path.read_text().splitlines() if line]
