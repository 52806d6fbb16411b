"""The byte-exact oracle: a server that plays production's side of recorded connections.

``python -m tests.e2e.oracle CAPTURE ADDRESS REPORT ROUNDS PORT…``

It learns the connections to each PORT, listens there on ADDRESS, and writes a verdict for each, as JSON, when
it is ended with SIGTERM. A connection is known by the client's endpoint. The server says what production said
as soon as it has heard what production had heard by then, closes when production closed, and compares every
byte that it hears.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import socket
import struct
import sys
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tests.e2e.oracle_capture import by_client, first_difference, learn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.e2e.oracle_capture import Conversation, Endpoint

PIECE = 1 << 18
EXAMPLES = 10


@dataclass
class Verdict:
    """What became of the connections; ``examples`` has some of those that are not exact."""

    expected: int = 0
    exact: int = 0
    incomplete: int = 0
    different: int = 0
    unexpected: int = 0
    bytes_compared: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def perfect(self) -> bool:
        """Every connection was there once, exact from its first byte to its end."""
        return self.exact == self.expected and not self.unexpected

    def note(self, text: str) -> None:
        """Keep an example."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(text)


class Oracle:
    """The recorded connections that are still to come, and the verdict on those that came."""

    def __init__(self, conversations: Iterable[Conversation], rounds: int = 1) -> None:
        """Expect each of them ``rounds`` times."""
        self.waiting: dict[Endpoint, deque[Conversation]] = {
            client: deque(each * rounds) for client, each in by_client(conversations).items()
        }
        self.verdict = Verdict(expected=sum(map(len, self.waiting.values())))
        self.open: set[Played] = set()

    def take(self, client: Endpoint) -> Conversation | None:
        """The next recorded connection of a client."""
        waiting = self.waiting.get(client)
        if waiting:
            return waiting.popleft()
        self.verdict.unexpected += 1
        self.verdict.note(f"{client}: not expected")
        return None

    def conclude(self) -> Verdict:
        """Judge what is still open, and count what never came."""
        for played in list(self.open):
            played.judge()
        missing = sum(map(len, self.waiting.values()))
        self.verdict.incomplete += missing
        if missing:
            self.verdict.note(f"{missing} connections never came")
        return self.verdict


class Played(asyncio.Protocol):
    """One connection: production's part is played, the client's part is compared."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.heard = 0
        self.said = 0
        self.step = 0
        self.difference = -1
        self.client_closed = False
        self.closed = False
        self.paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client is known by its endpoint."""
        self.transport = cast("asyncio.Transport", transport)
        conversation = self.oracle.take(transport.get_extra_info("peername")[:2])
        if conversation is None:
            self.transport.abort()
            return
        self.recorded = conversation
        self.oracle.open.add(self)
        self.play()

    def data_received(self, data: bytes) -> None:
        """Compare, and say what is next."""
        wanted = self.recorded.asked.data[self.heard : self.heard + len(data)]
        if self.difference < 0 and data != wanted:
            self.difference = self.heard + first_difference(data, wanted)
        self.heard += len(data)
        self.play()

    def eof_received(self) -> bool:
        """The client has nothing more to say; the server may have."""
        self.client_closed = True
        self.play()
        if self.closed:
            self.transport.close()
        return True

    def pause_writing(self) -> None:
        """The client does not read."""
        self.paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self.paused = False
        self.play()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by both sides, or reset."""
        self.client_closed = self.client_closed or isinstance(exc, ConnectionError)
        self.judge()

    def play(self) -> None:
        """Say all that production had said by now."""
        steps = self.recorded.steps
        while self.step < len(steps) and steps[self.step][0] <= self.heard:
            while self.said < steps[self.step][1]:
                if self.paused or self.closed:
                    return
                end = min(steps[self.step][1], self.said + PIECE)
                piece = self.recorded.answered.data[self.said : end]
                self.said = end
                self.transport.write(piece)
            self.step += 1
        if self.step == len(steps) and not self.closed and self._closes():
            self._close()

    def judge(self) -> None:
        """Enter this connection into the verdict, once."""
        if self not in self.oracle.open:
            return
        self.oracle.open.remove(self)
        verdict, recorded = self.oracle.verdict, self.recorded
        verdict.bytes_compared += self.heard
        if self.difference >= 0:
            verdict.different += 1
            verdict.note(f"{recorded.client}: different from byte {self.difference}")
        elif (
            self.heard == len(recorded.asked.data)
            and self.said == len(recorded.answered.data)
            and self._ended()
        ):
            verdict.exact += 1
        else:
            verdict.incomplete += 1
            heard = f"{self.heard} of {len(recorded.asked.data)} bytes heard"
            said = f"{self.said} of {len(recorded.answered.data)} said"
            verdict.note(f"{recorded.client}: {heard}, {said}, closed: {self.client_closed}")

    def _ended(self) -> bool:
        ends = self.recorded.asked.finished or self.recorded.asked.reset
        return self.client_closed or self.closed or not ends

    def _closes(self) -> bool:
        recorded = self.recorded
        if recorded.server_closes_at < 0 or self.heard < recorded.server_closes_at:
            return False
        return self.client_closed or not recorded.client_closed_first

    def _close(self) -> None:
        self.closed = True
        if self.recorded.answered.reset and not self.recorded.answered.finished:
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.close()
        elif self.client_closed:
            self.transport.close()
        else:
            self.transport.write_eof()


async def serve(oracles: Mapping[int, Oracle], address: str) -> None:
    """Play until SIGTERM."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    for port, oracle in oracles.items():
        await loop.create_server(partial(Played, oracle), address, port, backlog=4096)
    print("listening", flush=True)
    await stop.wait()


def main(arguments: Sequence[str]) -> None:
    """Learn, play, report."""
    capture, address, report, rounds, *ports = arguments
    learned = learn(Path(capture), *map(int, ports))
    oracles = {port: Oracle(conversations, int(rounds)) for port, conversations in learned.items()}
    gc.freeze()
    asyncio.run(serve(oracles, address))
    verdicts = {port: asdict(oracle.conclude()) for port, oracle in oracles.items()}
    Path(report).write_text(json.dumps(verdicts, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:])
