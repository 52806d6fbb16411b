"""Production's clients and a target with a bounded link, in virtual time: the scene of overload.

The link to the target is the bottleneck, because a memory port can bound it exactly: so many frames a
millisecond. Connections that stay make requests all the time; others come, make one, and go. How many come
each millisecond is what a test changes.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from dataplane.binding import SECOND, Config, Dataplane, Limits, Port, PortKind, PortRole, Timing, Transfer
from tests.line.scene import check_ledger
from tests.line.test_memory import ACK, FIN, PSH, SYN, frame

if TYPE_CHECKING:
    from collections.abc import Callable

MILLISECOND = SECOND // 1000
MIRROR, TEST = 0, 1
CLIENTS = 0xC6124000
SERVER = (ip_address("198.18.0.2").packed, 80)
TARGET = (ip_address("198.19.0.2").packed, 8080)
REQUEST, ANSWER = b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
ISN, SERVER_ISN, TARGET_ISN = 1000, 5000, 9000
RING = 512
STAYING, EVERY = 40, 40  # connections that stay; milliseconds from one request of theirs to the next
ROOM = 8  # frames a millisecond to the target; those that stay need 2 of them, one that comes and goes 6
SUSTAINED = (ROOM - 2 * STAYING / EVERY) / 6  # connections a millisecond that the rest is enough for


class Town:
    """Production's clients as the mirror shows them, and a target that answers at once."""

    def __init__(
        self, *, workers: int = 1, shed_map: int = 0, passes: Callable[[bytes], bool] = lambda _: True
    ) -> None:
        """``passes``: whether a mirrored frame reaches the ring; ``shed_map`` is what it may go by."""
        memory = Port(PortKind.MEMORY, PortRole.MIRROR, ring_size=RING, verify_checksums=False)
        mirror = replace(memory, shed_map=shed_map)
        test = replace(memory, role=PortRole.TEST, queues=workers)
        transfer = Transfer(None, SERVER[1], ip_address(TARGET[0]), TARGET[1], "02:00:00:00:00:0b")
        limits = Limits(connections=1 << 15, sessions=1 << 15, buffer_bytes=1 << 24)
        self.dataplane = Dataplane(
            Config(
                (mirror, test),
                (transfer,),
                workers=workers,
                limits=limits,
                timing=Timing(linger=SECOND // 100),
            )
        )
        self.passes = passes
        self.queues = range(workers)
        for queue in self.queues:
            self.dataplane.limit(TEST, queue, ROOM // workers)
        self.now = 1000 * SECOND
        self.millisecond = 0
        self.comers = 0.0
        self.clients = 0
        self.script: dict[int, list[bytes]] = defaultdict(list)  # what the mirror shows, by millisecond
        self.answers: list[tuple[int, bytes]] = []  # and on which queue

    def settle_in(self) -> None:
        """Those that stay come."""
        for number in range(STAYING):
            self.comes(after=number * EVERY // STAYING, requests=100, every=EVERY)

    def comes(self, *, after: int = 0, requests: int = 1, every: int = 2) -> None:
        """A new client: its connection, and when it says what."""
        client = ((CLIENTS + self.clients % 16384).to_bytes(4, "big"), 10_000 + self.clients // 16384)
        self.clients += 1
        at = self.millisecond + after
        seq, ack = ISN + 1, SERVER_ISN + 1

        def says(flags: int, payload: bytes = b"") -> None:
            self.script[at].append(frame((client, SERVER), flags, seq, ack, payload))

        self.script[at].append(frame((client, SERVER), SYN, ISN))
        at += 1
        says(ACK)
        for _ in range(requests):
            at += every - 1
            says(PSH | ACK, REQUEST)
            seq, ack = seq + len(REQUEST), ack + len(ANSWER)
            at += 1
            says(ACK)
        at += 1
        says(FIN | ACK)
        seq, ack, at = seq + 1, ack + 1, at + 1
        says(ACK)

    def goes_on(self, milliseconds: int, comers: float) -> list[int]:
        """Time passes, and so many clients come each millisecond. Requests at the target in each."""
        return [self._one_millisecond(comers) for _ in range(milliseconds)]

    def _one_millisecond(self, comers: float) -> int:
        self.comers += comers
        while self.comers >= 1:
            self.comers -= 1
            self.comes()
        for data in self.script.pop(self.millisecond, ()):
            if self.passes(data):
                self.dataplane.inject(MIRROR, 0, data)
        for queue, data in self.answers:
            self.dataplane.inject(TEST, queue, data)
        self.answers.clear()
        for quarter in range(4):  # a worker that has done everything turns in vain
            self.dataplane.step(self.now + quarter * MILLISECOND // 4)
        requests = sum(map(self._answer, self.queues))
        self.millisecond += 1
        self.now += MILLISECOND
        return requests

    def _answer(self, queue: int) -> int:
        requests = 0
        while data := self.dataplane.collect(TEST, queue):
            to = (data[26:30], int.from_bytes(data[34:36], "big"))
            seq, ack = (int.from_bytes(data[at : at + 4], "big") for at in (38, 42))
            flags = data[47]
            size = int.from_bytes(data[16:18], "big") - 20 - (data[46] >> 4) * 4
            requests += size > 0
            over = size + bool(flags & (SYN | FIN))
            if flags & SYN:
                self.answers.append((queue, frame((TARGET, to), SYN | ACK, TARGET_ISN, seq + 1)))
            elif over:
                answer = ANSWER if size else b""
                answer_flags = FIN | ACK if flags & FIN else PSH | ACK
                self.answers.append((queue, frame((TARGET, to), answer_flags, ack, seq + over, answer)))
        return requests

    def finish(self) -> Account:
        """Nobody comes any more, everything is said; the accounts close. What became of it."""
        while self.script or self.answers:
            self.goes_on(1, 0)
        self.goes_on(100, 0)
        counters = self.dataplane.counters()
        check_ledger(counters)
        assert counters["sessions_live"] == counters["connections_live"] == counters["objects_held"] == 0
        assert counters["retransmits"] == 0
        self.dataplane.close()
        return Account(
            counters["sessions_opened"], of_kind("drop_mirror_", counters), of_kind("end_", counters)
        )


@dataclass(frozen=True)
class Account:
    """Sessions; why mirrored frames were not used, and why sessions ended, without the zeros."""

    sessions: int
    drops: dict[str, int]
    ends: dict[str, int]


def of_kind(prefix: str, counters: dict[str, int]) -> dict[str, int]:
    """The counters of one heading, without the zeros."""
    return {name.removeprefix(prefix): n for name, n in counters.items() if name.startswith(prefix) and n}
