"""What was said on each connection of a capture: bytes of both sides, in turns, and how it ended.

Reads what ``tcpdump -w`` writes on an Ethernet device. Retransmissions, overlaps and segments out of order
are put right; a hole is an error, because a capture with holes proves nothing.
"""

from __future__ import annotations

import mmap
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MODULUS = 1 << 32
HALF = 1 << 31
FIN, SYN, RST, ACK = 1, 2, 4, 16
IPV4, IPV6, TCP = 0x0800, 0x86DD, 6
MAGICS = {b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"}  # little endian; microseconds, nanoseconds
ETHERNET_LINK = 1
FILE_HEADER, RECORD_HEADER, ETHERNET, IPV6_HEADER = 24, 16, 14, 40

Endpoint = tuple[str, int]


class CaptureError(Exception):
    """The capture cannot be used; the message says why."""


class Segment(NamedTuple):
    """One TCP segment."""

    source: tuple[bytes, int]
    destination: tuple[bytes, int]
    seq: int
    flags: int
    payload: bytes


@dataclass
class Half:
    """One direction of a connection."""

    data: bytearray = field(default_factory=bytearray)
    next: int = -1
    waiting: dict[int, bytes] = field(default_factory=dict)
    fin: int = -1
    reset: bool = False

    @property
    def finished(self) -> bool:
        """Whether its FIN has come, and every byte before it."""
        return self.fin >= 0 and self.fin == self.next

    def take(self, segment: Segment) -> None:
        """Add what is new of a segment's bytes."""
        if segment.flags & SYN:
            self.next = (segment.seq + 1) % MODULUS
        self.reset = self.reset or bool(segment.flags & RST)
        if segment.flags & FIN:
            self.fin = (segment.seq + len(segment.payload)) % MODULUS
        if segment.payload and self._append(segment.seq, segment.payload):
            self._absorb()

    def _append(self, seq: int, payload: bytes) -> bool:
        known = (self.next - seq) % MODULUS
        if known >= HALF:
            self.waiting[seq] = max(self.waiting.get(seq, b""), payload, key=len)
            return False
        fresh = payload[known:]
        self.data += fresh
        self.next = (self.next + len(fresh)) % MODULUS
        return bool(fresh)

    def _absorb(self) -> None:
        while ready := [seq for seq in self.waiting if (self.next - seq) % MODULUS < HALF]:
            for seq in ready:
                self._append(seq, self.waiting.pop(seq))


@dataclass
class Conversation:
    """One connection: ``steps`` says that after so many bytes of the client the server had said so many."""

    client: Endpoint
    asked: Half = field(default_factory=Half)
    answered: Half = field(default_factory=Half)
    steps: list[tuple[int, int]] = field(default_factory=list)
    established: bool = False
    server_closes_at: int = -1  # bytes of the client, when the server closed
    client_closed_first: bool = False

    @property
    def complete(self) -> bool:
        """Whether it was opened, and ended by both sides or by a reset."""
        ended = self.asked.finished and self.answered.finished
        return self.established and (ended or self.asked.reset or self.answered.reset)

    def take(self, segment: Segment, *, to_server: bool) -> None:
        """Either side has spoken."""
        (self.from_client if to_server else self.from_server)(segment)

    def from_client(self, segment: Segment) -> None:
        """The client has spoken."""
        self.asked.take(segment)
        if self.answered.next >= 0 and segment.flags & ACK:
            self.established = True

    def from_server(self, segment: Segment) -> None:
        """The server has spoken: this belongs to what it knows of the client by now."""
        before = len(self.answered.data)
        self.answered.take(segment)
        heard, said = len(self.asked.data), len(self.answered.data)
        if said > before:
            if self.steps and self.steps[-1][0] == heard:
                self.steps.pop()
            self.steps.append((heard, said))
        if segment.flags & (FIN | RST) and self.server_closes_at < 0:
            self.server_closes_at = heard
            self.client_closed_first = self.asked.finished or self.asked.reset

    def check(self) -> None:
        """Raises CaptureError where bytes are missing."""
        for half in (self.asked, self.answered):
            if half.waiting:
                raise CaptureError(f"{self.client}: {len(half.waiting)} segments after a hole")


def learn(path: Path, *ports: int) -> dict[int, list[Conversation]]:
    """The established connections to each of a server's ports, in the order in which they were opened."""
    found: dict[int, list[Conversation]] = {port: [] for port in ports}
    live: dict[tuple[int, tuple[bytes, int]], tuple[int, Conversation]] = {}
    for segment in _segments(path):
        to_server = segment.destination[1] in found
        client, server = (segment.source, segment.destination) if to_server else segment[1::-1]
        key = server[1], client
        isn, conversation = live.get(key, (-1, None))
        if to_server and segment.flags & SYN and segment.seq != isn:
            conversation = Conversation((str(ip_address(client[0])), client[1]))
            live[key] = segment.seq, conversation
            found[server[1]].append(conversation)
        if conversation:
            conversation.take(segment, to_server=to_server)
    return {port: _checked(conversations) for port, conversations in found.items()}


def _checked(conversations: Iterable[Conversation]) -> list[Conversation]:
    established = [conversation for conversation in conversations if conversation.established]
    for conversation in established:
        conversation.check()
    return established


def by_client(conversations: Iterable[Conversation]) -> dict[Endpoint, list[Conversation]]:
    """The connections of each client endpoint, in their order."""
    grouped: dict[Endpoint, list[Conversation]] = defaultdict(list)
    for conversation in conversations:
        grouped[conversation.client].append(conversation)
    return grouped


def differences(production: Iterable[Conversation], target: Iterable[Conversation]) -> list[str]:
    """How the client's bytes at the target differ from those at production, a sentence each."""
    wanted, found = by_client(production), by_client(target)
    said = [f"{client}: only the target knows it" for client in found if client not in wanted]
    for client, conversations in wanted.items():
        replayed = found.get(client, [])
        if len(replayed) != len(conversations):
            said.append(f"{client}: {len(conversations)} connections, {len(replayed)} at the target")
        for one, other in zip(conversations, replayed, strict=False):
            difference = first_difference(one.asked.data, other.asked.data)
            if difference >= 0:
                sizes = f"{len(one.asked.data)} bytes, {len(other.asked.data)} at the target"
                said.append(f"{client}: {sizes}, different from byte {difference}")
    return said


def first_difference(one: bytes | bytearray, other: bytes | bytearray) -> int:
    """Where two strings of bytes part; -1 if they are equal."""
    if one == other:
        return -1
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _segments(path: Path) -> Iterator[Segment]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        if text[:4] not in MAGICS or int.from_bytes(text[20:22], "little") != ETHERNET_LINK:
            raise CaptureError(f"{path}: not an Ethernet capture as tcpdump writes it on this machine")
        at, sizes = FILE_HEADER, struct.Struct("<8x2I")
        while at + RECORD_HEADER <= len(text):
            size, length = sizes.unpack_from(text, at)
            at += RECORD_HEADER
            if size != length:
                raise CaptureError(f"{path}: a frame was cut at {size} of {length} bytes")
            segment = _segment(text[at : at + size])
            if segment:
                yield segment
            at += size


_ports = struct.Struct("!2HI4xBB")


def _segment(frame: bytes) -> Segment | None:
    kind = frame[12] << 8 | frame[13]
    if kind == IPV4 and frame[23] == TCP:
        tcp = ETHERNET + (frame[14] & 15) * 4
        end = ETHERNET + (frame[16] << 8 | frame[17])
        source, destination = frame[26:30], frame[30:34]
    elif kind == IPV6 and frame[20] == TCP:
        tcp = ETHERNET + IPV6_HEADER
        end = tcp + (frame[18] << 8 | frame[19])
        source, destination = frame[22:38], frame[38:54]
    else:
        return None
    from_port, to_port, seq, size, flags = _ports.unpack_from(frame, tcp)
    payload = frame[tcp + (size >> 4) * 4 : end]
    return Segment((source, from_port), (destination, to_port), seq, flags, payload)
