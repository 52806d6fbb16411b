import json
from dataclasses import asdict

import pytest

from appliance.engine import ledger
from appliance.engine.ledger import PortAccount
from dataplane.binding import COUNTERS, CounterKind, PortRole, PortStatistics

NOTHING = {counter.name: 0 for counter in COUNTERS}
QUIET = PortStatistics(0, 0, 0, 0, 0, 0)

BALANCED = NOTHING | {
    "mirror_frames": 100,
    "mirror_handed_in": 7,
    "mirror_accepted": 90,
    "mirror_handed_off": 7,
    "drop_mirror_duplicate": 8,
    "drop_mirror_truncated": 2,
    "test_frames": 50,
    "test_accepted": 49,
    "drop_test_no_session": 1,
    "sessions_opened": 5,
    "sessions_live": 1,
    "end_complete": 3,
    "end_stopped": 1,
    "connections_opened": 5,
    "connections_closed": 4,
    "connections_live": 1,
    "request_bytes_taken": 1000,
    "request_bytes_acked": 900,
    "request_bytes_abandoned": 60,
    "request_bytes_pending": 40,
}


def mirror(redirected=100, **losses):
    statistics = {**asdict(QUIET), **losses}
    return PortAccount("mirror0", PortRole.MIRROR, {"redirected": redirected}, [PortStatistics(**statistics)])


def test_nothing_is_balanced():
    assert ledger.make(NOTHING)["closes"]


def test_a_balanced_account_closes():
    made = ledger.make(BALANCED, [mirror()], seconds=2.5)
    assert made["closes"]
    assert made["seconds"] == 2.5
    assert all(equation["closes"] for equation in made["equations"].values())
    assert made["drops"]["mirror"]["duplicate"] == 8
    assert made["ends"]["complete"] == 3
    assert made["counters"]["sessions_live"] == 1


@pytest.mark.parametrize(
    ("counter", "equation"),
    [
        ("mirror_accepted", "mirror"),
        ("mirror_handed_in", "mirror"),
        ("drop_mirror_table_full", "mirror"),
        ("test_frames", "test"),
        ("drop_test_unacceptable", "test"),
        ("end_idle", "sessions"),
        ("connections_live", "connections"),
        ("request_bytes_acked", "request_bytes"),
    ],
)
def test_one_too_many_shows_in_its_equation_alone(counter, equation):
    made = ledger.make(BALANCED | {counter: BALANCED[counter] + 1})
    assert not made["closes"]
    broken = {name: each for name, each in made["equations"].items() if not each["closes"]}
    assert list(broken) == [equation]
    assert abs(broken[equation]["left"] - broken[equation]["right"]) == 1


def test_every_counter_of_a_heading_is_in_its_equation():
    kinds = {
        CounterKind.DROP_MIRROR: "mirror",
        CounterKind.DROP_TEST: "test",
        CounterKind.SESSION_END: "sessions",
    }
    for counter in COUNTERS:
        if counter.kind in kinds:
            made = ledger.equations(NOTHING | {counter.name: 1})
            assert not made[kinds[counter.kind]].closes, counter.name


def test_frames_lost_at_sockets_are_accounted_for():
    lossy = mirror(redirected=106, rx_dropped=2, rx_ring_full=4, rx_starved=2)
    made = ledger.make(BALANCED, [lossy])
    assert made["closes"]
    assert made["ports"][0]["lost"] == 6


def test_a_frame_that_vanished_between_xdp_and_the_worker_is_seen():
    made = ledger.make(BALANCED, [mirror(redirected=101)])
    assert made["equations"]["mirror_xdp"] == {
        "meaning": "frames that XDP gave to sockets = mirror_frames + frames lost at sockets",
        "left": 101,
        "right": 100,
        "closes": False,
    }


def test_several_mirror_ports_are_one_side():
    assert ledger.make(BALANCED, [mirror(60), mirror(40)])["closes"]


def test_a_port_without_a_program_has_no_equation():
    memory = PortAccount("", PortRole.MIRROR, {}, [QUIET])
    assert "mirror_xdp" not in ledger.make(BALANCED, [memory])["equations"]


def test_it_is_json():
    assert json.loads(json.dumps(ledger.make(BALANCED, [mirror()])))["closes"]
