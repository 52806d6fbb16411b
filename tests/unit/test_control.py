"""The engine over its control socket, on memory ports: what is asked, changed, refused, and survives."""

import random
import signal
import socket
import threading

import pytest

from appliance.commands.run import run
from appliance.contract.appliance import Arm, GetStatus, GetWorkers, Stop
from appliance.contract.base import ControlError, ErrorKind
from appliance.contract.calls import MAX_LINE
from appliance.contract.client import EngineDownError
from appliance.contract.observed import (
    GetCounters,
    GetLatency,
    GetLedger,
    GetProtocols,
    GetSession,
    ListSessions,
    SessionState,
)
from appliance.contract.transfers import (
    CreateTransfer,
    DeleteTransfer,
    GetTransfer,
    ListTransfers,
    PauseTransfer,
    ReplaceTransfer,
    ResumeTransfer,
)
from appliance.errors import ConfigError
from appliance.service import answers
from appliance.service.store import Store
from appliance.settings.transfer import Transfer
from tests.unit.control_bed import ControlBed, settings


@pytest.fixture
def make_bed(tmp_path):
    beds = []

    def make(**more):
        beds.append(ControlBed(tmp_path, **more))
        beds[-1].start()
        return beds[-1]

    yield make
    for bed in beds:
        assert bed.end() in (0, None)


@pytest.fixture
def bed(make_bed):
    return make_bed()


def create(bed, name=None, *, paused=False, **wanted):
    request = CreateTransfer(
        transfer=name, settings=Transfer.model_validate(settings(**wanted)), paused=paused
    )
    return bed.client.call(request)


def change(bed, name, version=None, **wanted):
    made = Transfer.model_validate(settings(**wanted))
    return bed.client.call(ReplaceTransfer(transfer=name, settings=made, version=version))


def known(bed):
    """Id, version, state and multiplier of each transfer."""
    return [
        (one.id, one.version, one.state.value, one.settings.multiplier)
        for one in bed.client.call(ListTransfers()).items
    ]


def test_status_says_what_was_obtained(bed):
    status = bed.client.call(GetStatus())
    assert (status.armed, status.healthy, status.workers, status.transfers) == (True, True, 1, 0)
    assert [(port.role, port.device) for port in status.ports] == [("mirror", "mirror0"), ("test", "test0")]
    assert status.pid == bed.child
    assert [worker.worker for worker in bed.client.call(GetWorkers()).items] == [0]
    assert bed.client.call(GetLedger()).closes
    assert bed.client.call(GetProtocols()).connections["http1"] == 0


def test_a_transfer_is_made_changed_paused_resumed_and_deleted(bed):
    made = create(bed, "shop")
    assert (made.changed, made.transfer.id, made.transfer.version) == (True, "shop", 1)
    assert made.transfer.next_hop == "02:00:00:00:00:03"
    assert change(bed, "shop", multiplier=3).transfer.version == 2
    assert bed.client.call(PauseTransfer(transfer="shop", version=2)).transfer.state == "paused"
    assert bed.client.call(ResumeTransfer(transfer="shop")).transfer.state == "running"
    assert known(bed) == [("shop", 4, "running", 3)]
    counters = bed.client.call(GetCounters())
    assert counters.transfers["shop"]["sessions_opened"] == 0
    assert bed.client.call(GetLatency()).target["shop"].count == 0
    gone = bed.client.call(DeleteTransfer(transfer="shop"))
    assert (gone.transfer.id, gone.transfer.version) == ("shop", 4)
    assert known(bed) == []


def test_ids_that_are_left_out_are_given(bed):
    assert create(bed).transfer.id == "t1"
    assert create(bed, "t2", source=81).transfer.id == "t2"
    assert create(bed, source=82).transfer.id == "t3"
    bed.client.call(DeleteTransfer(transfer="t3"))
    assert create(bed, source=82).transfer.id == "t4"


def test_the_same_again_changes_nothing(bed):
    create(bed, "shop")
    assert not create(bed, "shop").changed
    assert not change(bed, "shop").changed
    assert not bed.client.call(ResumeTransfer(transfer="shop")).changed
    assert known(bed) == [("shop", 1, "running", 1)]


@pytest.mark.parametrize(
    ("request_of", "kind", "sentence"),
    [
        (lambda: GetTransfer(transfer="no"), "not_found", "there is no transfer 'no'"),
        (lambda: PauseTransfer(transfer="shop", version=7), "conflict", "has version 1 now, not 7"),
        (lambda: wanted("shop", multiplier=2), "conflict", "with other settings"),
        (lambda: wanted("other"), "invalid", "is the source of transfer 'shop' already"),
        (lambda: wanted("other", target="198.20.0.1:80"), "invalid", "outside safety.allowed_targets"),
        (lambda: wanted("other", source="198.19.0.2:81"), "invalid", "is a mirrored production server"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(bed, request_of, kind, sentence):
    create(bed, "shop")
    before = bed.config.control.state.read_bytes()
    with pytest.raises(ControlError, match=sentence) as caught:
        bed.client.call(request_of())
    assert caught.value.kind == kind
    assert bed.config.control.state.read_bytes() == before
    assert known(bed) == [("shop", 1, "running", 1)]


def wanted(name, **more):
    return CreateTransfer(transfer=name, settings=Transfer.model_validate(settings(**more)))


def test_without_allowed_targets_those_of_the_file_are_the_only_ones(make_bed):
    bed = make_bed(transfers=[settings()], safety={"allowed_targets": ["198.19.0.0/24"]})
    bed.end()
    bed.config = bed.config.model_copy(
        update={"safety": bed.config.safety.model_copy(update={"allowed_targets": None})}
    )
    bed.start()
    assert create(bed, source=81, target="198.19.0.2:9000").changed
    with pytest.raises(ControlError, match="add its network to safety") as caught:
        create(bed, source=82, target="198.19.0.3:80")
    assert caught.value.problems[0].field == "settings.target"


def test_a_target_that_does_not_answer_is_refused(bed):
    bed.end()
    bed.scene.macs.clear()
    bed.start()
    with pytest.raises(ControlError) as caught:
        create(bed)
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_a_target_that_is_away_at_a_restart_is_waited_for(bed):
    create(bed, "shop")
    macs = dict(bed.scene.macs)
    bed.end()
    bed.scene.macs.clear()
    bed.start()
    assert known(bed) == [("shop", 1, "unreachable", 1)]
    bed.end()
    bed.scene.macs |= macs
    bed.start()
    assert known(bed) == [("shop", 1, "running", 1)]


def test_it_is_ready_when_a_target_that_answers_late_has_answered(bed):
    create(bed, "shop")
    bed.end()
    bed.scene.late_macs |= bed.scene.macs
    bed.scene.macs.clear()
    bed.start()
    assert known(bed) == [("shop", 1, "running", 1)]


def test_more_changes_of_endpoints_than_there_are_places(bed):
    create(bed, "shop")
    for port in range(9000, 9100):
        change(bed, "shop", target=f"198.19.0.2:{port}")
    assert known(bed) == [("shop", 101, "running", 1)]


def test_all_places_can_be_used_and_no_more(bed):
    for port in range(64):
        create(bed, source=1000 + port)
    with pytest.raises(ControlError, match="at most 64"):
        create(bed, source=80)
    assert len(known(bed)) == 64


def test_emergency_stop_survives_a_restart_and_arming_ends_it(bed):
    create(bed, "shop")
    assert not bed.client.call(Stop()).armed
    assert known(bed) == [("shop", 1, "stopped", 1)]
    bed.end(signal.SIGKILL)
    bed.start()
    assert not bed.client.call(GetStatus()).armed
    assert create(bed, "later", source=81).transfer.state == "stopped"
    assert bed.client.call(Arm()).armed
    assert [state for _, _, state, _ in known(bed)] == ["running", "running"]


def test_transfers_of_the_configuration_count_once(make_bed):
    bed = make_bed(transfers=[settings(), settings(source=81)])
    assert [name for name, *_ in known(bed)] == ["t1", "t2"]
    bed.client.call(DeleteTransfer(transfer="t1"))
    bed.end()
    bed.start()
    assert [name for name, *_ in known(bed)] == ["t2"]


def test_a_broken_state_file_stops_the_start_with_its_path(bed, capfd):
    bed.end()
    bed.config.control.state.write_text("{")
    assert bed.refusal() == 1
    assert f"{bed.config.control.state} cannot be read" in capfd.readouterr().err


def test_without_transfers_only_the_engine_starts(bed):
    with pytest.raises(ConfigError, match="transfers: there are none"):
        run(bed.config)


def test_a_killed_engine_is_down_and_then_back(bed):
    create(bed, "shop")
    bed.end(signal.SIGKILL)
    with pytest.raises(EngineDownError):
        known(bed)
    bed.start()
    assert known(bed) == [("shop", 1, "running", 1)]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"[]\n",
        b"{\n",
        b"\xff\n",
        b'{"call": "no.such"}\n',
        b'{"call": "status", "with": []}\n',
        b'{"call": "status", "with": {"more": 1}}\n',
        b'{"call": "transfers.create", "with": {"settings": {"source": "x", "target": 7}}}\n',
        b"[" * 100_000 + b"\n",
        b" " * (MAX_LINE + 1),
    ],
)
def test_a_line_that_makes_no_sense_is_answered(bed, line):
    with socket.socket(socket.AF_UNIX) as link, link.makefile("rwb") as lines:
        link.connect(str(bed.config.control.socket))
        lines.write(line)
        lines.flush()
        assert b'"kind": "invalid"' in lines.readline()
    assert known(bed) == []


def test_the_socket_is_for_owner_and_group(bed):
    assert bed.config.control.socket.stat().st_mode & 0o777 == 0o660
    bed.end()
    assert not bed.config.control.socket.exists()


def test_sessions_are_told_and_looked_for(bed):
    create(bed, "shop")
    assert (
        bed.client.call(
            ListSessions(transfer="shop", client="198.18.0.1", state=SessionState.ESTABLISHED)
        ).items
        == ()
    )
    for request, kind in (
        (ListSessions(transfer="no"), "not_found"),
        (ListSessions(client="nobody"), "invalid"),
        (GetSession(session="0.0.0"), "not_found"),
        (GetSession(session="x"), "not_found"),
        (GetSession(session="0.4294967295.0"), "not_found"),
    ):
        with pytest.raises(ControlError) as caught:
            bed.client.call(request)
        assert caught.value.kind == kind


def test_a_second_engine_leaves_the_first_ones_socket_alone(bed, capfd):
    assert ControlBed(bed.config.control.socket.parent).refusal() == 1
    assert "another engine listens at" in capfd.readouterr().err
    assert known(bed) == []


def test_many_ask_while_others_change(bed):
    create(bed, "shop")
    failures = []

    def ask():
        try:
            for turn in range(20):
                assert bed.client.call(ListTransfers()).items[0].id == "shop"
                change(bed, "shop", multiplier=1 + turn % 5)
        except Exception as error:  # noqa: BLE001 - shown by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.slow
def test_killed_at_any_moment_of_a_change_it_comes_back_before_or_after_it(bed):
    """What was answered is there; of the change under way, all or nothing."""
    create(bed, "shop")
    delays = random.Random(1)  # noqa: S311 - no secret
    kept = 1
    for _ in range(100):
        answered = kept
        killer = threading.Timer(delays.uniform(0, 0.02), bed.end, (signal.SIGKILL,))
        killer.start()
        try:
            while True:
                change(bed, "shop", multiplier=answered % 1000 + 1)
                answered += 1
        except EngineDownError:
            killer.join()
        saved = Store(bed.config.control.state).read()
        assert saved is not None
        assert saved.transfers[0].version in (answered, answered + 1)
        bed.start()
        ((_, kept, _, multiplier),) = known(bed)
        assert kept == saved.transfers[0].version
        assert multiplier == (kept - 1) % 1000 + 1 if kept > 1 else 1


def test_a_thread_that_ends_while_load_is_read_is_left_out(tmp_path, monkeypatch):
    (tmp_path / "4711").mkdir()
    monkeypatch.setattr(answers, "TASKS", tmp_path)
    assert answers._cpu_seconds() == {}
