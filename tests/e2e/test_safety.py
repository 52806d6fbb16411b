"""What must never happen: frames where none may be, leftovers after a crash, a stop that drags on."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from appliance.lab.topology import STANDARD_MTU
from tests.e2e.bed import TARGET_PORT, ends, nonzero
from tests.e2e.capture import capture, frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from appliance.lab.topology import Role
    from tests.e2e.bed import Bed

LOAD = 30_000
STOP_WITHIN_S = 2.0
ETHERNET = 14


@contextmanager
def load(bed: Bed, requests: int = LOAD) -> Iterator[subprocess.Popen[bytes]]:
    """Keep the client busy meanwhile, and see that production answers it all."""
    argv = bed.client_argv(requests, pause=0.01)
    client = bed.lab.exec("client", argv, stdout=subprocess.PIPE)
    try:
        yield client
        client.communicate(timeout=60)
        assert client.returncode == 0
    finally:
        client.kill()
        client.wait()


def wait_for(bed: Bed, counter: str, least: int) -> None:
    assert bed.replay.settle(lambda now: now.get(counter, 0) >= least, 20), nonzero(bed.replay.counters())


def test_frames_are_nowhere_but_on_the_test_link(bed: Bed) -> None:
    target = f"host {bed.lab.target} or host {bed.lab.target6} or port {TARGET_PORT}"
    mac = bed.lab.run("target", ("cat", "/sys/class/net/target0/address")).stdout.strip()
    answers = f"tcp and src host {bed.lab.target}"
    # On every device but test0 and target0: nothing of the target's, nothing for it.
    elsewhere: tuple[tuple[Role, str], ...] = (
        ("client", "client0"),
        ("switch", "to-client"),
        ("switch", "to-production"),
        ("switch", "span0"),
        ("production", "production0"),
        ("appliance", "mirror0"),
    )
    with ExitStack() as stack:

        def watch(role: Role, name: str, *words: str) -> Path:
            return stack.enter_context(capture(bed.lab, role, bed.directory / f"{role}-{name}", *words))

        unwanted = [
            watch(role, name, "-i", name, f"{target} or ether host {mac}") for role, name in elsewhere
        ]
        # What the switch's span port receives is what the appliance sent on its mirror port.
        unwanted.append(watch("switch", "sent", "-i", "span0", "-Q", "in"))
        unwanted.append(watch("appliance", "forwarded", "-i", "any", "-Q", "out", answers))
        # As on a wire, no frame is longer than the MTU allows, neither towards mirror0 nor towards test0.
        unwanted.append(watch("switch", "long", "-i", "span0", f"greater {STANDARD_MTU + ETHERNET + 1}"))
        unwanted.append(watch("target", "long", "-i", "target0", f"greater {STANDARD_MTU + ETHERNET + 1}"))
        replayed = watch("target", "replayed", "-i", "target0", f"tcp and dst port {TARGET_PORT}")
        bed.start()
        bed.client(2000)
        bed.settle()
        counters = bed.finish()
        time.sleep(0.5)
    for path in unwanted:
        assert frames(path) == [], path.name
    assert len(frames(replayed)) == counters["sent_frames"]
    devices = {device.name: device for device in bed.lab.devices()}
    assert devices["mirror0"].tx_frames == 0
    assert devices["span0"].rx_frames == 0
    assert bed.accounts().equal


def test_killed_engine_leaves_nothing_attached_and_the_next_starts_at_once(bed: Bed) -> None:
    bed.start()
    with load(bed, 6000):
        wait_for(bed, "turns_sent", 500)
        bed.replay.kill()
        bed.assert_nothing_attached()
        start = time.monotonic()
        bed.replay.start()
        assert time.monotonic() - start < 5.0
    bed.settle()
    before = bed.replay.counters()["sessions_opened"]
    report = bed.client(1000, seed=2)
    bed.settle()
    counters = bed.finish()
    assert counters["sessions_opened"] == before + report["connections"]
    bed.production.stop()
    bed.target.stop()
    served = {request.id for request in bed.target.requests()}
    assert {f"2-{number}" for number in range(1000)} <= served


def test_stop_in_mid_load_resets_every_session_in_time(bed: Bed) -> None:
    bed.start()
    with load(bed, 6000):
        wait_for(bed, "turns_sent", 500)
        counters = bed.finish()
        assert bed.replay.stop_seconds < STOP_WITHIN_S
        bed.assert_no_session_at_target()
    assert ends(counters)["stopped"] > 0
    assert counters["sent_rst"] >= ends(counters)["stopped"]
    assert counters["sessions_live"] == 0


def test_interrupt_is_an_ordinary_stop(bed: Bed) -> None:
    bed.start()
    assert bed.replay.process is not None
    bed.replay.process.send_signal(signal.SIGINT)
    assert bed.replay.process.wait(STOP_WITHIN_S) == 0
    bed.finish()


def test_production_does_not_notice_the_appliance(make_bed: Callable[..., Bed]) -> None:
    bed = make_bed()
    without = bed.client(3000, seed=1, pause=0.01)
    bed.start()
    replayed = bed.client(3000, seed=2, pause=0.01)
    bed.settle()
    assert replayed["p50_ms"] < 3 * without["p50_ms"] + 5, (without, replayed)
