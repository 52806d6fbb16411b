"""One capture file, three times within a minute: the target still has its endpoints in TIME_WAIT."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.e2e.bed import PRODUCTION_PORT, TARGET_PORT, assert_ledger_closes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appliance.demo.nginx import Request
    from tests.e2e.hard_bed import HardBed

pytest_plugins = ("tests.e2e.hard_bed",)

SHORT, KEPT, ON_EACH = 2000, 50, 20
PACES = (("-a", "1"), ("-a", "4"), ("--fast",))
FLUSH_S = 1.2  # within a second the kernel hands the last frames to tcpdump


def record(bed: HardBed) -> Path:
    """Let production's clients speak; what the switch sent to the mirror port of it.

    Before the wire: behind it a frame may end in the kernel's backlog, which tcpdump does not count.
    """
    path = bed.directory / "capture.pcap"
    log = bed.directory / "tcpdump.log"
    argv = ("tcpdump", "-ni", "span0", "-Z", "root", "-B", "65536", "-w", str(path), "tcp")
    with log.open("wb") as errors:
        dump = bed.lab.exec("switch", argv, stderr=errors)
    try:
        while "listening" not in log.read_text():
            assert dump.poll() is None, log.read_text()
            time.sleep(0.02)
        ports = ",".join(str(30000 + number) for number in range(SHORT // len(bed.lab.clients)))
        bed.talk(SHORT, 1, source_ports=ports, server_closes=True, prefix="short")
        bed.talk(KEPT, ON_EACH, method="POST", size=3000, interval=0.05, prefix="kept")
        time.sleep(FLUSH_S)
    finally:
        dump.send_signal(signal.SIGINT)
        dump.wait(10)
    assert "0 packets dropped by kernel" in log.read_text()
    return path


def test_capture_is_replayed_whole_three_times_within_a_minute(make_hard_bed: Callable[..., HardBed]) -> None:
    bed = make_hard_bed()
    capture = record(bed)
    transfer = f"{PRODUCTION_PORT}-{bed.lab.target}:{TARGET_PORT}"
    files = ("--ledger", str(bed.directory / "ledger.json"), "--stats", str(bed.directory / "stats"))
    start = time.monotonic()
    for pace in PACES:
        words = (str(capture), "-o", bed.lab.test_device, "-x", transfer, *pace, *files)
        done = bed.lab.run(
            "appliance", (sys.executable, "-m", "appliance.cli", "replay", *words), check=False
        )
        assert done.returncode == 0, done.stderr
        ledger = json.loads((bed.directory / "ledger.json").read_text())
        assert_ledger_closes(ledger)
        ends = {reason: count for reason, count in ledger["ends"].items() if count}
        print(pace, f"{ledger['seconds']} s", ends, done.stdout.splitlines()[-3:])
        assert ends == {"complete": SHORT + KEPT}
    assert time.monotonic() - start < 60
    waiting = bed.lab.run("target", ("ss", "-Htan", "state", "time-wait")).stdout.splitlines()
    assert len(waiting) > 0.9 * SHORT  # where both sides closed at once the target does not wait
    bed.production.stop()
    bed.target.stop()
    asked, served = (Counter(map(_said, side.requests())) for side in (bed.production, bed.target))
    assert asked.total() == len(asked) == SHORT + KEPT * ON_EACH
    assert served == dict.fromkeys(asked, len(PACES))


def _said(request: Request) -> tuple[str, int, str]:
    return request.id, request.status, request.body_digest()
