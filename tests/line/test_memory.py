"""Memory: 100,000 idle sessions at once, and what is left of it after they have ended.

The measurement runs in a process of its own, so that nothing but the line's memory is in the figures.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dataplane.binding import SECOND, Config, Dataplane, Limits, Port, PortKind, PortRole, Timing, Transfer
from tests.line.scene import check_ledger

if TYPE_CHECKING:
    from collections.abc import Iterable

SESSIONS = 100_000
MOST_BYTES = 100 << 20
BATCH = 1000  # connections that speak at the same time
TURN = 32  # frames
RING = 4096
MIRROR, TEST = 0, 1
SERVER, TARGET = ip_address("198.18.0.2").packed, ip_address("198.19.0.2").packed
SERVER_PORT, TARGET_PORT = 80, 8080
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ISN, SERVER_ISN, TARGET_ISN = 1000, 5000, 9000
REQUEST, ANSWER = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
SYN_OPTIONS = bytes((2, 4, 5, 180, 1, 3, 3, 7))  # MSS 1460, window scale 7
ETHERNET = bytes(12) + b"\x08\x00"
HEADERS = struct.Struct("!BBHHHBBH4s4sHHIIBBHHH")

Endpoint = tuple[bytes, int]
Route = tuple[Endpoint, Endpoint]  # from, to


def frame(route: Route, flags: int, seq: int, ack: int = 0, payload: bytes = b"") -> bytes:
    """A frame without checksums, made quickly."""
    source, to = route
    options = SYN_OPTIONS if flags & SYN else b""
    size = 40 + len(options) + len(payload)
    tcp = (source[1], to[1], seq, ack, (5 + len(options) // 4) << 4, flags, 500, 0, 0)
    ip = (0x45, 0, size, 0, 0x4000, 64, 6, 0, source[0], to[0])
    return ETHERNET + HEADERS.pack(*ip, *tcp) + options + payload


class Crowd:
    """Many mirrored connections over the real line, all in the same state."""

    def __init__(self) -> None:
        memory = Port(PortKind.MEMORY, PortRole.MIRROR, ring_size=2048, verify_checksums=False)
        test = Port(PortKind.MEMORY, PortRole.TEST, ring_size=2048, verify_checksums=False)
        transfer = Transfer(None, SERVER_PORT, ip_address(TARGET), TARGET_PORT, "02:00:00:00:00:0b")
        limits = Limits(connections=1 << 17, sessions=1 << 17, buffer_bytes=1 << 30)
        self.dataplane = Dataplane(
            Config((memory, test), (transfer,), limits=limits, timing=Timing(linger=SECOND))
        )
        self.now = 1000 * SECOND
        self.server, self.target = (SERVER, SERVER_PORT), (TARGET, TARGET_PORT)
        self.clients = [
            ((0xC6120A00 + i // 50_000).to_bytes(4, "big"), 10_000 + i % 50_000) for i in range(SESSIONS)
        ]

    def say(self, port: int, frames: Iterable[bytes]) -> list[bytes]:
        """Put these frames into the line; what it sent."""
        sent: list[bytes] = []
        for count, data in enumerate(frames, 1):
            self.dataplane.inject(port, 0, data)
            if count % TURN == 0:
                self._turn(sent)
        self._turn(sent)
        return sent

    def _turn(self, sent: list[bytes]) -> None:
        self.dataplane.step(self.now)
        self.dataplane.step(self.now)
        while data := self.dataplane.collect(TEST, 0):
            sent.append(data)

    def mirror(
        self, clients: list[Endpoint], flags: int, seq: int, ack: int = 0, payload: bytes = b""
    ) -> list[bytes]:
        """One segment of each client."""
        return self.say(
            MIRROR, (frame((client, self.server), flags, seq, ack, payload) for client in clients)
        )

    def answer(self, numbers: dict[Endpoint, int], flags: int, seq: int, payload: bytes = b"") -> list[bytes]:
        """One segment of the target to each session, acknowledging what it has sent."""
        return self.say(
            TEST,
            (frame((self.target, to), flags, TARGET_ISN + seq, ack, payload) for to, ack in numbers.items()),
        )

    def converse(self, clients: list[Endpoint]) -> None:
        """The handshake and one exchange, on both sides; then nothing more is said."""
        syns = self.mirror(clients, SYN, ISN)
        numbers = {_source(data): int.from_bytes(data[38:42], "big") + 1 for data in syns}
        self.mirror(clients, ACK, ISN + 1, SERVER_ISN + 1)
        self.answer(numbers, SYN | ACK, 0)
        self.mirror(clients, PSH | ACK, ISN + 1, SERVER_ISN + 1, REQUEST)
        self.answer(
            {client: number + len(REQUEST) for client, number in numbers.items()}, PSH | ACK, 1, ANSWER
        )
        self.mirror(clients, ACK, ISN + 1 + len(REQUEST), SERVER_ISN + 1 + len(ANSWER))

    def establish(self, at_once: int) -> None:
        for first in range(0, SESSIONS, at_once):
            self.converse(self.clients[first : first + at_once])

    def reset(self) -> None:
        """Every client goes; the line forgets."""
        self.mirror(self.clients, RST | ACK, ISN + 1 + len(REQUEST), SERVER_ISN + 1 + len(ANSWER))
        for _ in range(40):
            self.now += SECOND // 10
            self.say(MIRROR, ())


def _source(data: bytes) -> Endpoint:
    return data[26:30], int.from_bytes(data[34:36], "big")


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def measure(at_once: int) -> dict[str, int]:
    """In bytes: before, with all sessions idle, after they have ended, the same again."""
    crowd = Crowd()
    crowd.say(
        TEST, (frame((crowd.target, client), ACK, 1) for client in crowd.clients[:RING])
    )  # warms the rings
    crowd.say(MIRROR, (frame((client, crowd.target), ACK, 1) for client in crowd.clients[:RING]))
    figures = {"before": _resident()}
    for turn in (1, 2):
        crowd.establish(at_once)
        counters = crowd.dataplane.counters()
        assert counters["sessions_live"] * turn == counters["sessions_established"] == SESSIONS * turn
        assert counters["turns_sent"] == SESSIONS * turn
        assert counters["request_bytes_pending"] == 0
        figures[f"idle_{turn}"] = _resident()
        crowd.reset()
        counters = crowd.dataplane.counters()
        assert counters["sessions_live"] == counters["connections_live"] == counters["objects_held"] == 0
        assert counters["end_client_reset"] == SESSIONS * turn
        check_ledger(counters)
        figures[f"ended_{turn}"] = _resident()
    crowd.dataplane.close()
    return figures


@pytest.fixture(scope="module")
def figures() -> dict[str, int]:
    argv = (sys.executable, "-m", "tests.line.test_memory", str(BATCH))
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    print(f"{(found['idle_1'] - found['before']) / SESSIONS:.0f} bytes for each idle session; {found}")
    return found


def test_idle_sessions_are_small(figures: dict[str, int]) -> None:
    assert figures["idle_1"] - figures["before"] < MOST_BYTES


def test_memory_is_used_again(figures: dict[str, int]) -> None:
    assert figures["idle_2"] - figures["idle_1"] < MOST_BYTES // 50


def test_memory_goes_back_when_all_have_ended(figures: dict[str, int]) -> None:
    assert figures["ended_1"] - figures["before"] < MOST_BYTES // 10  # the tables stay, and what Python needs


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
