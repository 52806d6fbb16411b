"""xdpcopy engine in the lab: transfers change under traffic, and the target sees exactly that."""

from __future__ import annotations

import json
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from appliance.contract.appliance import Arm, GetStatus, Stop
from appliance.contract.client import Client
from appliance.contract.observed import GetCounters, GetLatency
from appliance.contract.transfers import (
    CreateTransfer,
    DeleteTransfer,
    ListTransfers,
    PauseTransfer,
    ReplaceTransfer,
    ResumeTransfer,
)
from appliance.service.privileges import CAPABILITIES
from appliance.settings.transfer import Transfer
from tests.e2e.bed import PRODUCTION_PORT, RING_SIZE, TARGET_PORT, Bed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appliance.contract.base import Request

REQUESTS = 1500
ORDERS = 50
SHOP = "shop"


class ControlBed:
    """The bed, with ``xdpcopy engine`` and its client; nothing is replayed yet."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.directory = bed.directory
        configuration = {
            "mirror": [{"device": bed.lab.mirror_device, "ring_size": RING_SIZE}],
            "test": {"device": bed.lab.test_device, "ring_size": RING_SIZE},
            "safety": {"allowed_targets": [f"{bed.lab.target}/32"]},
            "control": {"socket": str(self.directory / "socket"), "state": str(self.directory / "state")},
        }
        path = self.directory / "xdpcopy.yaml"
        path.write_text(yaml.safe_dump(configuration))
        bed.replay.command = "engine"
        bed.replay.arguments = ("--config", str(path))
        bed.replay.start()
        self.client = Client(self.directory / "socket")

    def transfer(self, source: int = PRODUCTION_PORT, **more: Any) -> Transfer:
        target = f"{self.bed.lab.target}:{TARGET_PORT}"
        return Transfer.model_validate({"source": source, "target": target, **more})

    def at_target(self) -> int:
        return sum(1 for _ in self.bed.target.requests())

    def counted(self, name: str) -> int:
        return self.client.call(GetCounters()).transfers[SHOP][name]

    def phase(self, seed: int) -> tuple[int, int]:
        """So many requests to production: how many the target got, and how many turns were counted."""
        before, turns = self.at_target(), self.counted("turns_sent")
        self.bed.client(REQUESTS, seed=seed, parallel=50)
        self.bed.settle()
        turns = self.counted("turns_sent") - turns
        for _ in range(40):  # the server writes its log every half a second
            if self.at_target() - before == turns:
                break
            time.sleep(0.1)
        return self.at_target() - before, turns


@pytest.fixture
def control(make_bed: Callable[..., Bed]) -> ControlBed:
    return ControlBed(make_bed())


@pytest.mark.every_copy
def test_a_session_from_nothing_to_nothing(control: ControlBed) -> None:
    """n 1, 3, 1, r 10, 100, pause, resume, delete: the target's log agrees with each phase."""
    client, changes = control.client, []
    changes.append(client.call(CreateTransfer(transfer=SHOP, settings=control.transfer())))
    assert control.phase(1) == (REQUESTS, REQUESTS)
    for seed, multiplier in ((2, 3), (3, 1)):
        wanted = control.transfer(multiplier=multiplier)
        changes.append(client.call(ReplaceTransfer(transfer=SHOP, settings=wanted)))
        assert control.phase(seed) == (multiplier * REQUESTS,) * 2
    wanted = control.transfer(sample_percent=10)
    changes.append(client.call(ReplaceTransfer(transfer=SHOP, settings=wanted)))
    got, turns = control.phase(4)
    assert got == turns < REQUESTS / 2
    changes.append(client.call(ReplaceTransfer(transfer=SHOP, settings=control.transfer())))
    assert control.phase(5) == (REQUESTS, REQUESTS)
    changes.append(client.call(PauseTransfer(transfer=SHOP)))
    assert control.phase(6) == (0, 0)
    changes.append(client.call(ResumeTransfer(transfer=SHOP)))
    assert control.phase(7) == (REQUESTS, REQUESTS)
    latency = client.call(GetLatency())
    assert latency.target[SHOP].count > REQUESTS
    assert latency.production[SHOP].count > REQUESTS
    changes.append(client.call(DeleteTransfer(transfer=SHOP)))
    before = control.at_target()
    control.bed.client(REQUESTS, seed=8)
    assert client.call(ListTransfers()).items == ()
    print("milliseconds until a change was in force:", [round(change.took_ms, 1) for change in changes])
    counters = control.bed.finish()
    assert control.at_target() == before
    assert counters["refused_destination"] == 0


@pytest.fixture
def browsing(control: ControlBed, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[bytes]]:
    """Clients that go on for a while; a request on each connection every few milliseconds."""
    control.client.call(CreateTransfer(transfer=SHOP, settings=control.transfer()))
    argv = control.bed.client_argv(getattr(request, "param", 4000), parallel=40, pause=0.01)
    process = control.bed.lab.exec("client", argv, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.every_copy
def test_sessions_of_a_transfer_do_not_notice_changes_of_others(
    control: ControlBed, browsing: subprocess.Popen[bytes]
) -> None:
    rounds = 0
    while browsing.poll() is None:
        name = control.client.call(CreateTransfer(settings=control.transfer(source=81))).transfer.id
        other = control.transfer(source=81, multiplier=7)
        control.client.call(ReplaceTransfer(transfer=name, settings=other))
        control.client.call(DeleteTransfer(transfer=name))
        rounds += 1
    assert rounds > 3
    assert browsing.stdout is not None
    assert json.loads(browsing.stdout.read())["answered"] == 4000
    control.bed.settle()
    assert control.counted("end_transfer_removed") == control.counted("end_paused") == 0
    control.bed.finish()
    accounts = control.bed.accounts()
    assert accounts.equal, accounts


def test_emergency_stop_resets_everything_and_nothing_is_sent(
    control: ControlBed, browsing: subprocess.Popen[bytes]
) -> None:
    assert control.bed.replay.settle(lambda counters: counters["turns_sent"] > 200, 10)
    done = control.client.call(Stop())
    assert done.sessions_reset > 0
    sent = control.client.call(GetCounters()).totals["sent_frames"]
    assert control.client.call(GetCounters()).totals["sessions_live"] == 0
    production = sum(1 for _ in control.bed.production.requests())
    for _ in range(100):  # production goes on
        if sum(1 for _ in control.bed.production.requests()) > production:
            break
        time.sleep(0.1)
    assert control.client.call(GetCounters()).totals["sent_frames"] == sent
    control.bed.assert_no_session_at_target()
    assert browsing.poll() is None
    control.client.call(Arm())
    assert control.bed.replay.settle(lambda counters: counters["sent_frames"] > sent, 10)
    control.bed.finish()


@pytest.mark.parametrize("browsing", [200_000], indirect=True)
@pytest.mark.parametrize(
    ("end", "go_on"),
    [(Stop(), Arm()), (PauseTransfer(transfer=SHOP), ResumeTransfer(transfer=SHOP))],
    ids=["stop", "pause"],
)
def test_many_orders_under_load_leave_nothing_open(
    control: ControlBed, browsing: subprocess.Popen[bytes], end: Request[Any], go_on: Request[Any]
) -> None:
    reset = 0
    for _ in range(ORDERS):
        turns = control.counted("turns_sent")
        assert control.bed.replay.settle(partial(has_gone_on, turns), 60)
        done = control.client.call(end)
        assert (done.unconfirmed, control.bed.target_sockets()) == (0, []), done
        reset += done.sessions_reset
        control.client.call(go_on)
    assert reset > ORDERS
    assert browsing.poll() is None


def has_gone_on(turns: int, counters: dict[str, int]) -> bool:
    """Requests leave, behind those that had left before."""
    return counters["turns_sent"] > turns + 100 and counters["sessions_live"] > 0


@pytest.mark.every_copy
def test_a_killed_engine_comes_back_with_its_transfers(control: ControlBed) -> None:
    control.client.call(CreateTransfer(transfer=SHOP, settings=control.transfer(multiplier=2)))
    control.bed.replay.kill()
    control.bed.replay.start()
    assert control.phase(1) == (2 * REQUESTS,) * 2


def test_it_has_given_up_what_it_does_not_need(control: ControlBed) -> None:
    pid = control.client.call(GetStatus()).pid
    allowed = sum(1 << number for number in CAPABILITIES.values())
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            status = (task / "status").read_text()
        except FileNotFoundError:
            assert task.name != str(pid)
            continue  # a thread that has ended meanwhile
        lines = dict(line.split(":\t", 1) for line in status.splitlines())
        assert all(
            int(lines[kind], 16) & ~allowed == 0
            for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
        )
        assert lines["NoNewPrivs"] == "1"
