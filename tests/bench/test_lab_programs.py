"""The XDP programs of the lab's benchmark: the frames that they make are right."""

import struct
import sys
import time

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from dataplane.pyxdp import Program, Verdict
from tests.bench import native
from tests.bench.target import delays

pytestmark = pytest.mark.e2e

CLIENT, TARGET = ("198.18.64.1", 10000), ("198.19.0.2", 8080)
FIRST_SEQ = 0x10203040
CONNECTIONS, GROUP, REQUEST, ANSWER = 128, 64, 300, 64
ISN = 5000


@pytest.fixture(scope="module", autouse=True)
def _programs():
    native.build("lab")


def load(name, program):
    return Program.load((native.BUILD / f"{name}.bpf.o").read_bytes(), program)


@pytest.fixture
def target():
    with load("target", "answer") as program:
        yield program


def segment(flags, payload=b"", **tcp):
    header = TCP(sport=CLIENT[1], dport=tcp.pop("dport", TARGET[1]), flags=flags, **tcp)
    link = Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
    return bytes(link / IP(src=CLIENT[0], dst=TARGET[0]) / header / payload)


def answer(target, frame):
    run = target.test_run(frame)
    assert run.verdict is Verdict.TX
    assert_sound(run.frame)
    reply = Ether(run.frame)
    assert (reply.dst, reply.src) == (Ether(frame).src, Ether(frame).dst)
    assert (reply[IP].src, reply[TCP].sport) == TARGET
    assert (reply[IP].dst, reply[TCP].dport) == CLIENT
    return reply[TCP]


def assert_sound(frame):
    """Scapy makes the same lengths and checksums."""
    again = Ether(frame)
    for layer, field in ((IP, "len"), (IP, "chksum"), (TCP, "chksum")):
        delattr(again[layer], field)
    assert bytes(again) == frame


def test_a_syn_is_accepted(target):
    reply = answer(target, segment("S", seq=7, options=[("MSS", 1460), ("WScale", 7)]))
    assert (reply.flags, reply.seq, reply.ack) == ("SA", FIRST_SEQ, 8)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 300, 1400])
def test_a_request_is_acknowledged_and_answered(target, size):
    reply = answer(target, segment("PA", b"x" * size, seq=100, ack=900))
    assert (reply.flags, reply.seq, reply.ack) == ("PA", 900, 100 + size)
    assert len(reply.payload) == ANSWER


def test_a_fin_is_answered_with_a_fin(target):
    reply = answer(target, segment("FA", seq=100, ack=900))
    assert (reply.flags, reply.seq, reply.ack) == ("FA", 900, 101)


@pytest.mark.parametrize("flags", ["A", "R", "RA"])
def test_acknowledgements_and_resets_end_at_the_target(target, flags):
    assert target.test_run(segment(flags)).verdict is Verdict.DROP


def test_other_frames_are_the_kernels(target):
    assert target.test_run(segment("S", dport=22)).verdict is Verdict.PASS
    assert target.test_run(b"\xff" * 12 + b"\x08\x06" + bytes(46)).verdict is Verdict.PASS


def test_the_target_counts_what_it_was_told(target):
    for flags, payload in (("S", b""), ("PA", b"x" * 64), ("A", b""), ("FA", b""), ("R", b"")):
        target.test_run(segment(flags, payload))
    counts = target.maps["counts"].read(0)
    assert {name for name, count in counts.items() if count == 1} == {
        *("syns", "requests", "fins", "acks", "resets")
    }


def test_without_answers_all_tcp_ends():
    with load("target", "swallow") as program:
        assert program.test_run(segment("S", dport=22)).verdict is Verdict.DROP


@pytest.fixture
def generate():
    payload = bytes(8) + bytes(range(146)) * 2
    template = bytes(
        Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
        / IP(src="198.18.64.0", dst="198.18.0.2", flags="DF", id=0)
        / TCP(dport=80, window=502)
        / payload
    )
    payload_sum = sum(struct.unpack("=150H", payload))
    with load("generate", "generate") as program:

        def frame(number, end=1 << 31, visit=0, gap=0, due=0):
            what = (number, end, CONNECTIONS, 1, ISN, REQUEST, ANSWER, payload_sum, visit)
            plan = struct.pack("=10IQ", *what, gap, due)
            program.maps["plan_map"].update(0, plan)
            return program.test_run(template)

        yield frame


def said(generate, number, **options):
    run = generate(number, **options)
    assert run.verdict is Verdict.REDIRECT
    assert_sound(run.frame)
    frame = Ether(run.frame)
    connection = (frame[TCP].sport - 10000) * 16384 + int(frame[IP].src.split(".")[3])
    start = ISN + connection * 0x10001
    seq, ack = frame[TCP].seq - start, frame[TCP].ack - (~start & 0xFFFFFFFF)
    return connection, str(frame[TCP].flags), seq, ack, len(frame[TCP].payload)


def test_connections_are_opened_first(generate):
    assert said(generate, 5)[:3] == (5, "S", 0)
    assert said(generate, CONNECTIONS + 5) == (5, "A", 1, 1, 0)


def test_then_each_group_asks_and_acknowledges(generate):
    first = 2 * CONNECTIONS
    assert said(generate, first + 3) == (3, "PA", 1, 1, REQUEST)
    assert said(generate, first + GROUP + 3) == (3, "A", 1 + REQUEST, 1 + ANSWER, 0)
    assert said(generate, first + 2 * GROUP + 3) == (GROUP + 3, "PA", 1, 1, REQUEST)
    second = first + 2 * CONNECTIONS
    assert said(generate, second + 3) == (3, "PA", 1 + REQUEST, 1 + ANSWER, REQUEST)


def test_requests_say_when_they_were_made(generate):
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    made = int.from_bytes(bytes(Ether(generate(2 * CONNECTIONS).frame)[TCP].payload)[:8], sys.byteorder)
    assert before < made < time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@pytest.mark.parametrize("age", [0, 1000, 50_000, 1_000_000, 10**9])
def test_the_target_counts_how_long_requests_were_under_way(target, age):
    made = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - age
    target.test_run(segment("PA", made.to_bytes(8, sys.byteorder)))
    most = time.clock_gettime_ns(time.CLOCK_MONOTONIC) - made
    ((delay, count),) = delays(target).items()
    assert count == 1
    assert age <= delay <= most * 9 / 8 + 16


def test_nothing_is_said_beyond_the_end(generate):
    assert generate(10, end=10).verdict is Verdict.DROP


def test_with_gaps_a_frame_is_made_when_it_is_due(generate):
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert generate(10, gap=1000, due=now).verdict is Verdict.REDIRECT
    assert generate(10, gap=1000, due=now + 10**10).verdict is Verdict.DROP


def test_a_visit_is_a_whole_connection(generate):
    stages = 4 + 2 * 2
    heard = [said(generate, stage * CONNECTIONS, visit=2) for stage in range(stages)]
    requests, answers = 2 * REQUEST, 2 * ANSWER
    assert heard[0][:3] == (0, "S", 0)
    assert heard[1:] == [
        (0, "A", 1, 1, 0),
        (0, "PA", 1, 1, REQUEST),
        (0, "A", 1 + REQUEST, 1 + ANSWER, 0),
        (0, "PA", 1 + REQUEST, 1 + ANSWER, REQUEST),
        (0, "A", 1 + requests, 1 + answers, 0),
        (0, "FA", 1 + requests, 1 + answers, 0),
        (0, "A", 2 + requests, 2 + answers, 0),
    ]


def test_visits_are_at_every_stage_at_once_and_followed_by_others(generate):
    stages = 4 + 2 * 2
    first = said(generate, 0, visit=2)
    assert first[:2] == (0, "S")
    assert [said(generate, place, visit=2)[1] for place in range(1, stages)] == [
        *("A", "PA", "A", "PA", "A", "FA", "A")
    ]
    assert said(generate, stages * CONNECTIONS, visit=2)[:3] == (CONNECTIONS, "S", 0)
