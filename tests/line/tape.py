"""Capture files for tests: conversations on tape, written in every format, and their replay over the line.

    tape = Tape()
    talk = tape.conversation()
    talk.client.connect()
    talk.ask(b"GET /", b"200 OK")
    playback = Playback([tape.write(tmp_path / "a.pcap")], target=Responder())
    playback.play()

``Playback`` is a Scene whose mirror port reads files; ``Responder`` is a target that answers by itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from dataplane.binding import SECOND, Capture, Config, Port, PortKind, PortRole
from tests.line.scene import CLIENT, MILLISECOND, MODULUS, OPTIONS, SERVER, TEST, Scene, Talker, frame

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.line.scene import Endpoint

START = 1_700_000_000 * SECOND
ETHERNET, NULL, RAW, SLL, IPV4, IPV6, LOOP, SLL2 = 1, 0, 101, 113, 228, 229, 108, 276
HEADER = 14


def relink(data: bytes, link: int) -> bytes:
    """The Ethernet frame as a capture of another link type has it."""
    ethertype, rest = data[12:14], data[HEADER:]
    family = 2 if ethertype == b"\x08\x00" else 30
    front = {
        ETHERNET: data[:HEADER],
        NULL: struct.pack("<I", family),
        LOOP: struct.pack(">I", family),
        SLL: struct.pack(">HHH8s", 0, 1, 6, b"") + ethertype,
        SLL2: ethertype + struct.pack(">HIHBB8s", 0, 1, 1, 0, 6, b""),
    }
    return front.get(link, b"") + rest


def pcap(
    frames: Iterable[tuple[int, bytes]], link: int = ETHERNET, *, nano: bool = False, snap: int = 65535
) -> bytes:
    """A pcap file; times in nanoseconds."""
    magic, unit = (0xA1B23C4D, 1) if nano else (0xA1B2C3D4, 1000)
    out = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, max(snap, 65535), link)]
    for time, data in frames:
        kept = data[:snap]
        out.append(struct.pack("<IIII", time // SECOND, time % SECOND // unit, len(kept), len(data)) + kept)
    return b"".join(out)


def _block(kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def pcapng(frames: Iterable[tuple[int, bytes]], link: int = ETHERNET, *, nano: bool = False) -> bytes:
    """A pcapng file with one section and one interface."""
    resolution = struct.pack("<HHBxxxHH", 9, 1, 9 if nano else 6, 0, 0)
    out = [
        _block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)),
        _block(1, struct.pack("<HHI", link, 0, 0) + resolution),
    ]
    for time, data in frames:
        ticks = time if nano else time // 1000
        out.append(
            _block(6, struct.pack("<IIIII", 0, ticks >> 32, ticks % MODULUS, len(data), len(data)) + data)
        )
    return b"".join(out)


class Tape:
    """Frames of both directions, with their times."""

    both = True
    server: Talker | None = None  # what a Talker asks of a Scene

    def __init__(self, start: int = START) -> None:
        self.now = start
        self.frames: list[tuple[int, bytes]] = []

    def mirror(self, data: bytes) -> None:
        """What a Talker shows."""
        self.frames.append((self.now, data))

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    def conversation(
        self, client: Endpoint = CLIENT, server: Endpoint = SERVER, isn: int = 1_000_000
    ) -> Talk:
        talk = Talk(Talker(self, client, server, isn), Talker(self, server, client, 5_000_000))  # type: ignore[arg-type]
        talk.client.peer, talk.server.peer = talk.server, talk.client
        return talk

    def write(self, path: Path, link: int = ETHERNET, **how: Any) -> Path:
        """In the format that the name ends with."""
        make = pcapng if path.suffix == ".pcapng" else pcap
        path.write_bytes(make([(time, relink(data, link)) for time, data in self.frames], link, **how))
        return path


@dataclass
class Talk:
    """A production conversation."""

    client: Talker
    server: Talker

    def ask(self, request: bytes = b"GET /", answer: bytes = b"200 OK") -> None:
        self.client.says(request)
        self.server.says(answer)
        self.client.acks()

    def close(self) -> None:
        self.client.closes()
        self.server.closes()
        self.client.acks()

    def whole(self, requests: int = 1, request: bytes = b"GET /") -> None:
        self.client.connect()
        for _ in range(requests):
            self.ask(request)
        self.close()


@dataclass
class Peer:
    """What the target knows of one session."""

    start: int
    got: bytes = b""
    said: int = 0
    fin: bool = False


@dataclass
class Responder:
    """A target that answers each ``request`` with ``answer``, so many milliseconds later."""

    request: bytes = b"GET /"
    answer: bytes = b"200 OK"
    delay: int = 0
    peers: dict[Endpoint, Peer] = field(default_factory=dict)
    received: list[tuple[Endpoint, bytes]] = field(default_factory=list)
    due: list[tuple[int, bytes]] = field(default_factory=list)
    resets: int = 0
    most: int = 0  # conversations at once

    def on_frame(self, scene: Playback, data: bytes) -> None:
        packet = Ether(data)
        tcp = packet[TCP]
        network = packet[IPv6] if IPv6 in packet else packet[IP]
        client = (network.src, tcp.sport)
        size = (network.plen if IPv6 in packet else network.len - 20) - tcp.dataofs * 4
        payload = bytes(tcp.payload)[:size]
        flags = str(tcp.flags)
        if flags == "S":
            self.peers[client] = Peer(tcp.seq)
            self.most = max(self.most, len(self.peers))
            self.say(scene, client, "SA", seq=0)
        elif "R" in flags:
            self.resets += self.peers.pop(client, None) is not None
        elif client in self.peers:
            self.on_segment(scene, client, self.peers[client], tcp, payload)

    def on_segment(self, scene: Playback, client: Endpoint, peer: Peer, tcp: Any, payload: bytes) -> None:
        if (tcp.seq - peer.start - 1) % MODULUS == len(peer.got) and payload:
            peer.got += payload
            self.received.append((client, payload))
        if not payload and not tcp.flags & 1:
            if peer.fin:
                del self.peers[client]
            return
        self.say(scene, client, "A")
        owed = len(peer.got) // len(self.request) * len(self.answer) - peer.said
        if owed > 0:
            peer.said += owed
            self.say(
                scene, client, "PA", seq=1 + peer.said - owed, payload=(self.answer * owed)[:owed], delay=True
            )
        if tcp.flags & 1 and not peer.fin:
            peer.fin = True
            self.say(scene, client, "FA", ack=1, delay=True)

    def say(self, scene: Playback, client: Endpoint, flags: str, *, delay: bool = False, **over: Any) -> None:
        peer = self.peers[client]
        seq = over.pop("seq", 1 + peer.said)
        ack = peer.start + 1 + len(peer.got) + (over.pop("ack", 0) or peer.fin)
        data = frame(
            scene.addresses[2],
            client,
            flags=flags,
            seq=(9_000_000 + seq) % MODULUS,
            ack=ack % MODULUS,
            window=65535,
            options=OPTIONS if "S" in flags else [],
            **over,
        )
        self.due.append((scene.now + (self.delay * MILLISECOND if delay else 0), data))

    def requests(self) -> int:
        return sum(len(payload) for _, payload in self.received) // len(self.request)


class Playback(Scene):
    """A scene whose mirror port reads capture files, with a target that answers by itself."""

    def __init__(self, files: Iterable[Path], *, target: Responder | None = None, **settings: Any) -> None:
        names = {"speed", "idle_cap", "repeats", "fast"} & settings.keys()
        self.capture = Capture(tuple(map(str, files)), **{name: settings.pop(name) for name in names})
        self.responder = target
        self.log: list[tuple[int, str, bytes]] = []  # of what was sent: when, flags, payload
        super().__init__(**settings)
        self.begun = self.now

    def _config(self, **settings: Any) -> Config:
        config = super()._config(**settings)
        return replace(
            config,
            ports=(
                Port(PortKind.CAPTURE, PortRole.MIRROR, verify_checksums=False, capture=self.capture),
                config.ports[TEST],
            ),
        )

    def step(self) -> None:
        super().step()
        if self.responder is None:
            return
        for queue in range(self.dataplane.config.workers):
            while data := self.dataplane.collect(TEST, queue):
                packet = Ether(data)
                if TCP in packet:
                    tcp = packet[TCP]
                    self.log.append((self.now - self.begun, str(tcp.flags), bytes(tcp.payload)))
                self.responder.on_frame(self, data)
        due = [data for time, data in self.responder.due if time <= self.now]
        self.responder.due = [entry for entry in self.responder.due if entry[0] > self.now]
        for data in due:
            self.dataplane.inject(TEST, self.queue, data)

    def play(self, seconds: float = 600, stride: float = 0.001) -> Any:
        """On, until everything has been replayed; the progress at the end."""
        end = self.now + round(seconds * SECOND)
        while not self.dataplane.capture_progress().finished:
            assert self.now < end, (self.dataplane.capture_progress(), self.ended())
            self.step()
            self.now += round(stride * SECOND)
        return self.dataplane.capture_progress()

    def run(self, seconds: float, stride: float = 0.001) -> None:
        """On for so long."""
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.step()
            self.now += round(stride * SECOND)

    def times(self, flags: str) -> list[float]:
        """When segments with these flags left, in seconds from the start."""
        return [time / SECOND for time, found, _ in self.log if found == flags]
