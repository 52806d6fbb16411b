"""The test language: a mirrored conversation, a target, and a virtual clock around the real line.

    def test_request_is_replayed(scene):
        scene.client.connect()
        scene.expect("S")
        scene.target.accept()
        scene.expect("A")
        scene.client.says(b"GET /")
        scene.expect("PA GET /")

``scene.client`` and ``scene.server`` are production, seen by the mirror; ``scene.target`` is the server under
test. Positions are offsets: 0 is the first byte after the SYN. ``scene.sent()`` is what the line sent since
the last look; ``expect`` compares it with a list of "FLAGS payload". At the end of each test the ledger must
close.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from dataplane import binding
from dataplane.binding import (
    SECOND,
    Config,
    Dataplane,
    Limits,
    Port,
    PortKind,
    PortRole,
    Rss,
    Timing,
    Transfer,
)

MILLISECOND = SECOND // 1000
MIRROR, TEST = 0, 1
CLIENT = ("198.18.0.10", 40000)
SERVER = ("198.18.0.2", 80)
TARGET = ("198.19.0.2", 8080)
CLIENT6, SERVER6, TARGET6 = ("fd00:198:18::10", 40000), ("fd00:198:18::2", 80), ("fd00:198:18:19::2", 8080)
OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
MODULUS = 1 << 32

Endpoint = tuple[str, int]


def frame(source: Endpoint, destination: Endpoint, *, link: Any = None, **tcp: Any) -> bytes:
    """An Ethernet frame with one TCP segment; ``payload`` and scapy's TCP fields by name."""
    payload = tcp.pop("payload", b"")
    layer = IPv6 if ":" in source[0] else IP
    network = layer(src=source[0], dst=destination[0])
    header = TCP(sport=source[1], dport=destination[1], **tcp)
    return bytes(
        (link or Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")) / network / header / payload
    )


@dataclass(frozen=True)
class Sent:
    """A segment that the line sent; seq and ack count from the ISNs (0: the first byte)."""

    flags: str
    seq: int
    ack: int
    window: int
    payload: bytes
    options: dict[str, Any]
    raw: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.flags} {self.payload.decode('latin1')}".strip()


class Talker:
    """One side of the production connection, as the mirror shows it."""

    def __init__(self, scene: Scene, own: Endpoint, other: Endpoint, isn: int) -> None:
        self.scene, self.own, self.other, self.isn = scene, own, other, isn
        self.peer: Talker
        self.next = 0  # offset of the next byte
        self.seen = 0  # how far the other side has been acknowledged

    def segment(self, flags: str, payload: bytes = b"", **over: Any) -> bytes:
        """A frame of this side: by default the next bytes, acknowledging all that was seen."""
        over.setdefault("seq", self.next)
        over.setdefault("ack", self.seen)
        over["seq"] = (over["seq"] + self.isn + 1) % MODULUS
        over["ack"] = (over["ack"] + self.peer.isn + 1) % MODULUS if "A" in flags else 0
        over.setdefault("window", 500)
        return frame(self.own, self.other, flags=flags, payload=payload, **over)

    def shows(self, flags: str, payload: bytes = b"", **over: Any) -> None:
        """The mirror shows a segment of this side; not the server's if only one direction is mirrored."""
        if self is self.scene.server and not self.scene.both:
            return
        self.scene.mirror(self.segment(flags, payload, **over))

    def says(self, payload: bytes, flags: str = "PA") -> None:
        """The next bytes of this side; the other side has seen them from now on."""
        self.shows(flags, payload)
        self.next += len(payload)
        self.peer.seen = self.next

    def says_unmirrored(self, payload: bytes) -> None:
        """As says, but the mirror misses it."""
        self.next += len(payload)
        self.peer.seen = self.next

    def closes(self) -> None:
        self.shows("FA")
        self.next += 1
        self.peer.seen = self.next

    def resets(self) -> None:
        self.shows("RA")

    def acks(self) -> None:
        self.shows("A")

    def connect(self, **over: Any) -> None:
        """The three segments of the handshake (the server's only if both directions are mirrored)."""
        over.setdefault("options", OPTIONS)
        self.shows("S", seq=-1, **over)
        self.peer.shows("SA", seq=-1, options=OPTIONS)
        self.acks()


class Target:
    """The server under test: answers what the line has sent."""

    def __init__(self, scene: Scene, isn: int) -> None:
        self.scene, self.isn = scene, isn
        self.next = 0
        self.seen = 0  # offset up to which the line's bytes have been received
        self.iss = 0  # the session's, learned from its SYN
        self.client: Endpoint = CLIENT

    def segment(self, flags: str, payload: bytes = b"", **over: Any) -> bytes:
        over.setdefault("seq", self.next)
        over.setdefault("ack", self.seen)
        over["seq"] = (over["seq"] + self.isn + 1) % MODULUS
        over["ack"] = (over["ack"] + self.iss + 1) % MODULUS if "A" in flags else 0
        over.setdefault("window", 500)
        return frame(self.scene.addresses[2], self.client, flags=flags, payload=payload, **over)

    def shows(self, flags: str, payload: bytes = b"", **over: Any) -> None:
        self.scene.answer(self.segment(flags, payload, **over))

    def accept(self, **over: Any) -> None:
        over.setdefault("options", OPTIONS)
        over.setdefault("window", 65535)
        self.shows("SA", seq=-1, **over)

    def says(self, payload: bytes) -> None:
        self.shows("PA", payload)
        self.next += len(payload)

    def acks(self, **over: Any) -> None:
        self.shows("A", **over)

    def closes(self) -> None:
        self.shows("FA")
        self.next += 1

    def refuses(self) -> None:
        self.shows("RA", seq=-1)

    def resets(self) -> None:
        self.shows("RA")


class Scene:
    """The real line over memory ports, one mirrored connection, one target."""

    def __init__(
        self, *, both: bool = True, ipv6: bool = False, start: int = 1000 * SECOND, **settings: Any
    ) -> None:
        self.both = both
        self.now = start
        self.queue = 0  # where frames arrive
        self.addresses = (CLIENT6, SERVER6, TARGET6) if ipv6 else (CLIENT, SERVER, TARGET)
        self.dataplane = Dataplane(self._config(**settings))
        self.client = Talker(self, self.addresses[0], self.addresses[1], isn=1_000_000)
        self.server = Talker(self, self.addresses[1], self.addresses[0], isn=5_000_000)
        self.client.peer, self.server.peer = self.server, self.client
        self.target = Target(self, isn=9_000_000)
        self.target.client = self.addresses[0]

    def _config(  # noqa: PLR0913 - one for each setting
        self,
        *,
        mtu: int = 1500,
        workers: int = 1,
        rss: Rss | None = None,
        timing: Timing | None = None,
        limits: Limits | None = None,
        source: str | None = None,
        verify_checksums: bool = True,
        filter: str = "",  # noqa: A002 - as it is called everywhere
        **transfer_settings: Any,
    ) -> Config:
        memory = Port(
            PortKind.MEMORY,
            PortRole.MIRROR,
            queues=workers,
            ring_size=4096,
            mtu=9000,
            verify_checksums=verify_checksums,
        )
        test = replace(memory, role=PortRole.TEST, mtu=mtu, mac="02:00:00:00:00:0a")
        transfer = Transfer(
            source_ip=ip_address(source) if source else None,
            source_port=self.addresses[1][1],
            target_ip=ip_address(self.addresses[2][0]),
            target_port=self.addresses[2][1],
            target_mac="02:00:00:00:00:0b",
            **transfer_settings,
        )
        small = Limits(connections=4096, sessions=4096, buffer_bytes=32 << 20)
        return Config(
            ports=(memory, test),
            transfers=(transfer,),
            workers=workers,
            limits=limits or small,
            rss=rss or Rss(),
            timing=timing or Timing(),
            filter=filter,
        )

    def mirror(self, data: bytes) -> None:
        """A frame arrives on the mirror port."""
        self.dataplane.inject(MIRROR, self.queue, data)
        self.step()

    def answer(self, data: bytes) -> None:
        """A frame arrives on the test port."""
        self.dataplane.inject(TEST, self.queue, data)
        self.step()

    def step(self) -> None:
        """One turn of every worker; two where a frame may have to be handed back."""
        for _ in range(2 if self.dataplane.config.workers > 1 else 1):
            self.dataplane.step(self.now)

    def advance(self, seconds: float) -> None:
        """The clock goes on, a millisecond and a turn at a time (more for long times)."""
        end = self.now + int(seconds * SECOND)
        stride = max(MILLISECOND, (end - self.now) // 2000)
        while self.now < end:
            self.now = min(end, self.now + stride)
            self.step()

    def sent(self) -> list[Sent]:
        """What has left since the last look; what the target learns from it is noted."""
        found = []
        for queue in range(self.dataplane.config.workers):
            while data := self.dataplane.collect(TEST, queue):
                found.append(self._read(data))
        return found

    def _read(self, data: bytes) -> Sent:
        packet = Ether(data)
        tcp = packet[TCP]
        flags = str(tcp.flags)
        if flags == "S":
            self.target.iss = tcp.seq
        network = packet[IPv6] if IPv6 in packet else packet[IP]
        size = (network.plen if IPv6 in packet else network.len - 20) - tcp.dataofs * 4
        payload = bytes(tcp.payload)[:size]
        seq = (tcp.seq - self.target.iss - 1) % MODULUS
        end = seq + size + ("F" in flags)
        if seq <= self.target.seen < end and "R" not in flags:
            self.target.seen = end
        ack = (tcp.ack - self.target.isn - 1) % MODULUS if "A" in flags else 0
        return Sent(flags, seq, ack, tcp.window, payload, dict(tcp.options), packet)

    def expect(self, *wanted: str) -> list[Sent]:
        """Exactly these segments have left, in this order."""
        found = self.sent()
        assert [str(segment) for segment in found] == list(wanted)
        return found

    def establish(self) -> None:
        """Handshake on both sides; the line's SYN and ACK are consumed."""
        self.client.connect()
        self.expect("S")
        self.target.accept()
        self.expect("A")

    def exchange(self, request: bytes = b"GET /", answer: bytes = b"200 OK") -> None:
        """One whole request and answer, the same at production and at the target."""
        self.client.says(request)
        self.server.says(answer)
        self.expect(f"PA {request.decode()}")
        self.target.says(answer)
        self.expect("A")

    def new_client(self, address: str, port: int) -> None:
        """From now on the production client is another one; its connection begins anew."""
        self.client.own = self.server.other = self.target.client = (address, port)
        self.client.next = self.client.seen = self.server.next = self.server.seen = 0
        self.target.next = self.target.seen = 0

    def counters(self) -> dict[str, int]:
        return self.dataplane.counters()

    def count(self, name: str) -> int:
        return self.counters()[name]

    def ended(self) -> dict[str, int]:
        """Sessions that have ended, by reason, without the zeros."""
        kinds = (c.name for c in binding.COUNTERS if c.kind is binding.CounterKind.SESSION_END)
        counters = self.counters()
        return {name.removeprefix("end_"): counters[name] for name in kinds if counters[name]}

    def finish(self) -> None:
        """The engine stops: every account must close, and nothing may be left."""
        check_ledger(self.counters())
        self.dataplane.drain()
        for _ in range(3):
            for queue in range(self.dataplane.config.workers):
                while self.dataplane.collect(TEST, queue):
                    pass
            self.step()
        counters = self.counters()
        check_ledger(counters)
        assert counters["sessions_live"] == 0
        assert counters["request_bytes_pending"] == 0
        assert counters["refused_destination"] == 0
        self.dataplane.step(self.now + SECOND)
        assert self.count("buffers_used") == 0
        self.dataplane.close()


def check_ledger(counters: dict[str, int]) -> None:
    """Every frame, session and byte stands under exactly one heading."""

    def total(prefix: str) -> int:
        return sum(value for name, value in counters.items() if name.startswith(prefix))

    for role in ("mirror", "test"):
        arrived = counters[f"{role}_frames"] + counters[f"{role}_handed_in"]
        used = counters[f"{role}_accepted"] + counters[f"{role}_handed_off"]
        assert arrived == used + total(f"drop_{role}_"), role
    assert counters["sessions_opened"] == total("end_") + counters["sessions_live"]
    assert counters["connections_opened"] == counters["connections_closed"] + counters["connections_live"]
    taken = counters["request_bytes_acked"] + counters["request_bytes_abandoned"]
    assert counters["request_bytes_taken"] == taken + counters["request_bytes_pending"]
