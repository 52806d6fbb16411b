"""The premise of tests that count what the target got: every copy of production's frames reaches the engine.

Where no CPU is left for the worker, or the switch drops copies, frames are lost before the engine can see
them, and such a test shows nothing. It says so then, with what was measured, if it is marked ``every_copy``
and an assertion fails; without evidence it fails (``pytest_pyfunc_call`` in conftest.py).
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.demo.process import Replay
    from appliance.lab import Lab

RING_FILLS_S = 0.05  # 8,192 frames at the most that two CPUs make and mirror
NANOSECONDS_PER_S = 1e9


class Copies:
    """What became of the copies on their way to one engine, from construction on."""

    def __init__(self, lab: Lab, replay: Replay) -> None:
        """Note what had been dropped before."""
        self._lab = lab
        self._replay = replay
        self._before = self._dropped()
        self._waited_s = 0.0

    def look(self) -> None:
        """Note for how long a worker has waited for its CPU; to be called while the engine runs."""
        if self._replay.process is not None:
            self._waited_s = waited_s(Path("/proc") / str(self._replay.process.pid))

    def evidence(self) -> str:
        """End the engine; what was lost before it, in a sentence, or nothing."""
        if self._replay.process is not None:
            self.look()
            self._replay.stop()
        ledger: dict[str, Any] = {"ports": []}
        with suppress(OSError, ValueError):
            ledger = self._replay.ledger()
        lost = sum(port["lost"] for port in ledger["ports"] if port["role"] == "mirror")
        return verdict(self._dropped() - self._before, lost, self._waited_s)

    def _dropped(self) -> int:
        """Copies that the switch could not pass on, in queues and at devices."""
        queues = json.loads(self._lab.run("switch", ("tc", "-s", "-j", "qdisc", "show")).stdout)
        links = json.loads(self._lab.run("switch", ("ip", "-s", "-j", "link", "show")).stdout)
        dropped = [one["drops"] for one in queues if one["dev"].startswith("span")]
        dropped += [one["stats64"]["tx"]["dropped"] for one in links if one["ifname"].startswith("span")]
        return int(sum(dropped))


def verdict(dropped: int, lost: int, waited_s: float) -> str:
    """What speaks against the premise. A socket that loses frames while its worker has a CPU does not."""
    found = []
    if dropped:
        found.append(f"the switch dropped {dropped:,} copies")
    if lost and waited_s >= RING_FILLS_S:
        found.append(f"{lost:,} frames found a full ring, whose worker waited {waited_s:.2f} s for its CPU")
    return "; ".join(found)


def waited_s(process: Path) -> float:
    """For how long the worker that had to wait most was ready to run, and did not."""
    longest = 0.0
    for task in (process / "task").glob("*"):
        with suppress(OSError):
            if (task / "comm").read_text().startswith("worker-"):
                waited = int((task / "schedstat").read_text().split()[1])
                longest = max(longest, waited / NANOSECONDS_PER_S)
    return longest
