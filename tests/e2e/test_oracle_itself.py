"""The oracle finds what it is there to find: a byte that differs, is missing, or was never recorded."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.e2e.oracle import Oracle, Played
from tests.e2e.oracle_capture import ACK, FIN, SYN, Conversation, Segment, differences, first_difference

if TYPE_CHECKING:
    from collections.abc import Sequence

CLIENT, SERVER = (b"\x7f\x00\x00\x01", 4000), (b"\x7f\x00\x00\x01", 80)
START = 2**32 - 3  # the numbers wrap soon


class Recorder:
    """Segments of one connection, as a capture has them."""

    def __init__(self) -> None:
        self.conversation = Conversation(("127.0.0.1", 4000))
        self.client(SYN, -1)
        self.server(SYN | ACK, -1)
        self.client(ACK, 0)

    def client(self, flags: int, offset: int, payload: bytes = b"") -> None:
        segment = Segment(CLIENT, SERVER, (START + offset) % 2**32, flags, payload)
        self.conversation.take(segment, to_server=True)

    def server(self, flags: int, offset: int, payload: bytes = b"") -> None:
        segment = Segment(SERVER, CLIENT, (START + offset) % 2**32, flags, payload)
        self.conversation.take(segment, to_server=False)


@pytest.fixture
def recorded() -> Conversation:
    """The server greets; two requests with answers; the client closes. In disorder, with repetitions."""
    recorder = Recorder()
    recorder.server(ACK, 0, b"hello")
    recorder.client(ACK, 3, b"two")
    recorder.client(ACK, 0, b"one")
    recorder.client(ACK, 1, b"netwo")
    recorder.server(ACK, 5, b"answer")
    recorder.server(ACK, 0, b"helloanswer")
    recorder.client(ACK, 6, b"last")
    recorder.client(FIN | ACK, 10)
    recorder.server(ACK, 11, b"bye")
    recorder.server(FIN | ACK, 14)
    return recorder.conversation


def test_capture_is_put_right(recorded: Conversation) -> None:
    recorded.check()
    assert recorded.complete
    assert bytes(recorded.asked.data) == b"onetwolast"
    assert bytes(recorded.answered.data) == b"helloanswerbye"
    assert recorded.steps == [(0, 5), (6, 11), (10, 14)]
    assert (recorded.server_closes_at, recorded.client_closed_first) == (10, True)


class Wire(asyncio.Transport):
    """What the oracle says to one client."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 4000)})
        self.said = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += data

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("said", "exact", "different", "incomplete"),
    [
        ((b"onetwo", b"last"), 1, 0, 0),
        ((b"onetwo", b"lost"), 0, 1, 0),
        ((b"onetwo", b"lastly"), 0, 1, 0),
        ((b"onetwo",), 0, 0, 1),
    ],
    ids=["same", "one byte different", "too much", "too little"],
)
def test_verdict(
    recorded: Conversation, said: Sequence[bytes], exact: int, different: int, incomplete: int
) -> None:
    oracle, wire = Oracle([recorded]), Wire()
    played = Played(oracle)
    played.connection_made(wire)
    assert wire.said == b"hello"
    for piece in said:
        played.data_received(piece)
    played.eof_received()
    assert wire.said == (b"helloanswer" if incomplete else b"helloanswerbye")
    assert wire.closed == (not incomplete)
    verdict = oracle.conclude()
    assert (verdict.exact, verdict.different, verdict.incomplete) == (exact, different, incomplete), verdict
    assert verdict.perfect == bool(exact)


def test_connection_that_was_not_recorded_is_counted(recorded: Conversation) -> None:
    oracle = Oracle([recorded])
    assert oracle.take(("127.0.0.2", 4000)) is None
    verdict = oracle.conclude()
    assert (verdict.unexpected, verdict.incomplete, verdict.perfect) == (1, 1, False)


def test_differences_between_two_captures_are_named(recorded: Conversation) -> None:
    other = Recorder()
    other.client(ACK, 0, b"onetwolost")
    assert not differences([recorded], [recorded])
    assert differences([recorded], [other.conversation]) == [
        "('127.0.0.1', 4000): 10 bytes, 10 at the target, different from byte 7"
    ]
    assert len(differences([recorded], [])) == len(differences([], [recorded])) == 1


def test_first_difference() -> None:
    assert first_difference(b"same", b"same") == -1
    assert first_difference(b"same", b"some") == 1
    assert first_difference(b"same", b"same and more") == 4
    assert first_difference(b"", b"x") == 0
