"""The only Python that touches the C dataplane: configuration to struct, code to exception, counters to dict.

The boundary itself is ``include/dataplane.h``; the meaning of every field is written there.
"""

from __future__ import annotations

import errno
import os
from dataclasses import asdict, dataclass, field, replace
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

from dataplane._dataplane import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

NO_CPU: int = lib.DP_NO_CPU
MAX_FRAME = 65536
MAX_ROWS: int = lib.DP_MAX_ROWS
MAX_WORKERS: int = lib.DP_MAX_WORKERS
MAX_PORTS: int = lib.DP_MAX_PORTS
MAX_TRANSFERS: int = lib.DP_MAX_TRANSFERS
MAX_RANGES: int = lib.DP_MAX_RANGES
MAX_CAPTURES: int = lib.DP_MAX_FILES
MAX_STATS_PATH: int = lib.DP_PATH_SIZE - 1
RING_SIZE = 4096
ANY: int = lib.DP_ANY
SECOND = 1_000_000_000


class DataplaneError(OSError):
    """A call into the dataplane failed; ``strerror`` is a sentence that names the cause."""


class PortKind(IntEnum):
    """What is behind a port."""

    MEMORY = lib.DP_PORT_MEMORY
    XSK = lib.DP_PORT_XSK
    CAPTURE = lib.DP_PORT_CAPTURE


class PortRole(IntEnum):
    """What a port is for."""

    MIRROR = lib.DP_ROLE_MIRROR
    TEST = lib.DP_ROLE_TEST


class PortMode(IntEnum):
    """How frames pass between the device and user space."""

    AUTO = lib.DP_MODE_AUTO
    ZEROCOPY = lib.DP_MODE_ZEROCOPY
    COPY = lib.DP_MODE_COPY
    MEMORY = lib.DP_MODE_MEMORY
    CAPTURE = lib.DP_MODE_CAPTURE


class Transport(IntEnum):
    """What a transfer carries."""

    TCP = lib.DP_TCP
    UDP = lib.DP_UDP


class TransferState(IntEnum):
    """What a transfer does."""

    RUNNING = lib.DP_RUNNING
    PAUSED = lib.DP_PAUSED
    REMOVED = lib.DP_REMOVED
    STOPPED = lib.DP_STOPPED


class CounterKind(IntEnum):
    """How a counter is to be read."""

    COUNTER = lib.DP_COUNTER
    GAUGE = lib.DP_GAUGE
    DROP_MIRROR = lib.DP_DROP_MIRROR
    DROP_TEST = lib.DP_DROP_TEST
    SESSION_END = lib.DP_SESSION_END


@dataclass(frozen=True)
class Port:
    """One network device with its queues (``struct dp_port``)."""

    kind: PortKind
    role: PortRole
    device: str = ""
    queues: int = 1
    mode: PortMode = PortMode.AUTO
    ring_size: int = RING_SIZE
    sockets_map: int = -1
    shed_map: int = 0
    verify_checksums: bool = True
    busy_poll: bool = False
    fragments: bool = False
    mtu: int = 1500
    mac: str = "00:00:00:00:00:00"


@dataclass(frozen=True)
class Rss:
    """How the test port's NIC spreads what it receives (``struct dp_rss``)."""

    table: tuple[int, ...] = ()
    key: bytes = b""
    symmetry: int = 0
    fields: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Range:
    """Consecutive addresses of a client pool (``struct dp_range``)."""

    first: IPv4Address | IPv6Address
    count: int


@dataclass(frozen=True)
class Transfer:
    """Traffic to ``source`` is replayed to ``target`` (``struct dp_transfer``).

    ``source_ip`` None: any. ``sample`` is of 2^32, 0 means all; ``ramp`` is in nanoseconds.
    """

    source_ip: IPv4Address | IPv6Address | None
    source_port: int
    target_ip: IPv4Address | IPv6Address
    target_port: int
    target_mac: str
    transport: Transport = Transport.TCP
    multiplier: int = 1
    sample: int = 0
    ramp: int = 0
    pool: tuple[Range, ...] = ()
    instance: int = 0
    instances: int = 1
    full_sessions_only: bool = False
    no_wait: bool = False
    ack_mirrored: bool = False
    tls_replay: bool = False
    mss: int = 0
    loopback_ip: IPv4Address | IPv6Address | None = None
    sessions_per_second: int = 0
    state: TransferState = TransferState.RUNNING


@dataclass(frozen=True)
class Limits:
    """Hard bounds, decided at start (``struct dp_limits``)."""

    connections: int = 1 << 17
    sessions: int = 1 << 17
    buffer_bytes: int = 1 << 30
    backlog_bytes: int = 16 << 20
    sessions_per_second: int = 0
    packets_per_second: int = 0


@dataclass(frozen=True)
class Timing:
    """Times in nanoseconds and counts of the session simulation (``struct dp_timing``)."""

    settle: int = SECOND // 200
    response_timeout: int = 120 * SECOND
    idle_timeout: int = 3600 * SECOND
    datagram_timeout: int = 30 * SECOND
    gap_timeout: int = SECOND
    linger: int = 5 * SECOND
    tries: int = 8
    syn_tries: int = 6


@dataclass(frozen=True)
class Capture:
    """Capture files in place of a mirror device (``struct dp_capture``); ``idle_cap`` is in nanoseconds.

    They are read through a port of kind CAPTURE, the only mirror port then.
    """

    files: tuple[str, ...] = ()
    speed: float = 1.0
    idle_cap: int = 0
    repeats: int = 1
    fast: bool = False


@dataclass(frozen=True)
class Config:
    """All that the dataplane is told at ``open`` (``struct dp_config``).

    ``filter`` is written in the language of pcap-filter(7); empty: every mirrored frame passes.
    """

    ports: tuple[Port, ...]
    transfers: tuple[Transfer, ...]
    workers: int = 1
    cpus: tuple[int, ...] = ()
    limits: Limits = field(default_factory=Limits)
    rss: Rss = field(default_factory=Rss)
    timing: Timing = field(default_factory=Timing)
    capture: Capture = field(default_factory=Capture)
    filter: str = ""
    clock_offset: int = 0
    stats_path: str = ""


@dataclass(frozen=True)
class Counter:
    """One entry of ``observe/stats.def``."""

    index: int
    name: str
    unit: str
    help: str
    kind: CounterKind


class SessionState(IntEnum):
    """The state of a session's connection to the target."""

    SYN_SENT = lib.DP_SESSION_SYN_SENT
    ESTABLISHED = lib.DP_SESSION_ESTABLISHED
    FIN_WAIT = lib.DP_SESSION_FIN_WAIT
    CLOSE_WAIT = lib.DP_SESSION_CLOSE_WAIT
    CLOSING = lib.DP_SESSION_CLOSING
    DATAGRAMS = lib.DP_SESSION_DATAGRAMS


class Waits(IntEnum):
    """What a session waits for before it sends more."""

    PRODUCTION = lib.DP_WAITS_PRODUCTION
    MIRROR_GAP = lib.DP_WAITS_GAP
    HANDSHAKE = lib.DP_WAITS_HANDSHAKE
    ANSWER = lib.DP_WAITS_ANSWER
    ACKNOWLEDGEMENT = lib.DP_WAITS_ACKNOWLEDGEMENT
    WINDOW = lib.DP_WAITS_WINDOW
    NOTHING = lib.DP_WAITS_NOTHING


Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Session:
    """A session at one moment (``struct dp_session_row``); times in nanoseconds, rtt in microseconds.

    Endpoints are address and port. Worker, place and opened_at together name it as long as it lives.
    """

    worker: int
    place: int
    opened_at: int
    transfer: int
    state: SessionState
    waits: Waits
    client: tuple[Address, int]
    server: tuple[Address, int]
    forged: tuple[Address, int]
    target: tuple[Address, int]
    age: int
    idle: int
    turns: int
    request_bytes: int
    pending_bytes: int
    answer_bytes: int
    retransmits: int
    rtt: int


class Side(IntEnum):
    """Whose answer times."""

    TARGET = lib.DP_SIDE_TARGET
    PRODUCTION = lib.DP_SIDE_PRODUCTION


@dataclass(frozen=True)
class Histogram:
    """Times in nanoseconds: ``buckets[i]`` were below ``BOUNDS[i]``, and not below the bound before."""

    sum: int
    most: int
    buckets: tuple[int, ...]


@dataclass(frozen=True)
class CaptureProgress:
    """How far the replay of capture files has got (``struct dp_capture_progress``)."""

    bytes: int
    bytes_total: int
    frames: int
    position: int
    late: int
    repeat: int
    repeats: int
    broken: int
    paused: bool
    finished: bool


@dataclass(frozen=True)
class CaptureFacts:
    """What a capture file holds (``struct dp_capture_facts``); times in nanoseconds since 1970."""

    bytes: int
    frames: int
    cut: int
    first: int
    last: int
    link: int
    trouble: str


@dataclass(frozen=True)
class PortStatistics:
    """The kernel's XDP_STATISTICS of one socket."""

    rx_dropped: int
    rx_invalid_descs: int
    tx_invalid_descs: int
    rx_ring_full: int
    rx_fill_ring_empty_descs: int
    tx_ring_empty_descs: int


def address_bytes(address: IPv4Address | IPv6Address | None) -> bytes:
    """16 bytes in network order: IPv4 as ::ffff:a.b.c.d, None as ::."""
    if address is None:
        return bytes(16)
    if isinstance(address, IPv4Address):
        return bytes(10) + b"\xff\xff" + address.packed
    return address.packed


def address_of(data: bytes) -> Address:
    """The inverse of address_bytes."""
    address = IPv6Address(data)
    return address.ipv4_mapped or address


def _session(row: Any) -> Session:  # noqa: ANN401 - a cffi struct has no Python type
    def endpoint(side: str) -> tuple[Address, int]:
        return address_of(bytes(getattr(row, f"{side}_ip"))), getattr(row, f"{side}_port")

    numbers = ("worker", "place", "opened_at", "transfer", "age", "idle", "turns", "request_bytes")
    more = ("pending_bytes", "answer_bytes", "retransmits", "rtt")
    return Session(
        state=SessionState(row.state),
        waits=Waits(row.waits),
        client=endpoint("client"),
        server=endpoint("server"),
        forged=endpoint("forged"),
        target=endpoint("target"),
        **{name: getattr(row, name) for name in (*numbers, *more)},
    )


def mac_bytes(mac: str) -> bytes:
    """Six bytes of ``aa:bb:cc:dd:ee:ff``."""
    return bytes.fromhex(mac.replace(":", ""))


def steer_object() -> bytes:
    """The compiled XDP programs (``dataplane/bpf/steer.bpf.c``), for ``pyxdp.Program``."""
    size = ffi.new("size_t *")
    data = lib.dp_steer_object(size)
    return bytes(ffi.buffer(data, size[0]))


def _counters(count: int, describe: Callable[[int], Any]) -> tuple[Counter, ...]:
    def one(index: int) -> Counter:
        info = describe(index)
        name, unit, text = (ffi.string(s).decode() for s in (info.name, info.unit, info.help))
        return Counter(index, name, unit, text, CounterKind(info.kind))

    return tuple(one(index) for index in range(count))


COUNTERS = _counters(lib.dp_counter_count(), lib.dp_counter_info)
TRANSFER_COUNTERS = _counters(lib.dp_transfer_counter_count(), lib.dp_transfer_counter_info)
SCHEMA = f"{lib.dp_schema():016x}"
BOUNDS = tuple(int(lib.dp_bucket_bound(bucket)) for bucket in range(lib.DP_BUCKETS))


def _port(port: Port) -> dict[str, Any]:
    fields = asdict(port)
    fields.update(device=port.device.encode(), mac=mac_bytes(port.mac))
    return fields


def _transfer(transfer: Transfer, range_first: int) -> dict[str, Any]:
    fields = asdict(transfer)
    del fields["pool"]
    fields.update(
        range_first=range_first,
        range_count=len(transfer.pool),
        source_ip=address_bytes(transfer.source_ip),
        target_ip=address_bytes(transfer.target_ip),
        target_mac=mac_bytes(transfer.target_mac),
        loopback_ip=address_bytes(transfer.loopback_ip),
    )
    return fields


def _capture(capture: Capture) -> dict[str, Any]:
    """Raises DataplaneError for what the struct cannot hold."""
    names = [os.fsencode(name) for name in capture.files]
    if len(names) > lib.DP_MAX_FILES:
        raise DataplaneError(
            errno.EINVAL, f"{len(names)} capture files; at most {lib.DP_MAX_FILES} can be replayed together"
        )
    for name in names:
        if len(name) >= lib.DP_FILE_SIZE:
            raise DataplaneError(errno.ENAMETOOLONG, f"a capture's path is too long: {os.fsdecode(name)}")
    fields = asdict(capture)
    fields.update(files=names, file_count=len(names))
    return fields


def _config(config: Config) -> Any:  # noqa: ANN401 - a cffi struct has no Python type
    ranges = [one for transfer in config.transfers for one in transfer.pool]
    firsts = accumulate((len(transfer.pool) for transfer in config.transfers), initial=0)
    pinned = list(config.cpus) + [NO_CPU] * (config.workers - len(config.cpus))
    made = ffi.new(
        "struct dp_config *",
        {
            "workers": config.workers,
            "cpus": pinned,
            "port_count": len(config.ports),
            "ports": [_port(port) for port in config.ports],
            "transfer_count": len(config.transfers),
            "transfers": [_transfer(*pair) for pair in zip(config.transfers, firsts, strict=False)],
            "range_count": len(ranges),
            "ranges": [{"first": address_bytes(r.first), "count": r.count} for r in ranges],
            "limits": asdict(config.limits),
            "rss": _rss(config.rss),
            "timing": asdict(config.timing),
            "capture": _capture(config.capture),
            "clock_offset": config.clock_offset,
            "stats_path": config.stats_path.encode(),
        },
    )
    if config.filter:
        _compile(config.filter, ffi.addressof(made, "filter"))
    return made


def _rss(rss: Rss) -> dict[str, Any]:
    sizes = {"table_size": len(rss.table), "key_size": len(rss.key)}
    return {**sizes, **asdict(rss)}


def check_filter(text: str) -> None:
    """Raises DataplaneError, with libpcap's sentence, for what is no filter of pcap-filter(7)."""
    _compile(text, ffi.new("struct dp_filter *"))


def _compile(text: str, into: Any) -> None:  # noqa: ANN401 - a cffi struct has no Python type
    error = ffi.new("char[]", lib.DP_ERROR_SIZE)
    code = lib.dp_filter_compile(text.encode(), into, error, lib.DP_ERROR_SIZE)
    if code:
        raise DataplaneError(-code, ffi.string(error).decode(errors="replace"))


def inspect_capture(path: str) -> CaptureFacts:
    """Reads a capture file to its end. Raises DataplaneError for what cannot be replayed."""
    found = ffi.new("struct dp_capture_facts *")
    error = ffi.new("char[]", lib.DP_ERROR_SIZE)
    code = lib.dp_capture_inspect(os.fsencode(path), found, error, lib.DP_ERROR_SIZE)
    if code:
        raise DataplaneError(-code, ffi.string(error).decode(errors="replace"))
    fields = {name: getattr(found, name) for name in CaptureFacts.__dataclass_fields__}
    return CaptureFacts(**{**fields, "trouble": ffi.string(found.trouble).decode(errors="replace")})


class Dataplane:
    """The C engine: a context manager that opens, and closes what it opened.

    Raises DataplaneError where a call fails. ``start`` and ``stop`` run and join the worker threads;
    ``step`` turns the workers here instead, with a clock of the caller's own.
    """

    def __init__(self, config: Config) -> None:
        """Allocates everything and binds the sockets."""
        self.config = config
        engine = ffi.new("struct dp_engine **")
        error = ffi.new("char[]", lib.DP_ERROR_SIZE)
        code = lib.dp_open(_config(config), engine, error, lib.DP_ERROR_SIZE)
        if code:
            raise DataplaneError(-code, ffi.string(error).decode())
        self._engine = engine[0]
        self._frame = ffi.new("uint8_t[]", MAX_FRAME)

    def __enter__(self) -> Self:
        """Nothing more to do: the constructor has opened it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def _check(self, code: int) -> int:
        if code < 0:
            raise DataplaneError(-code, ffi.string(lib.dp_error(self._engine)).decode() or os.strerror(-code))
        return code

    def start(self) -> None:
        """Starts one pinned thread for each worker."""
        self._check(lib.dp_start(self._engine))

    def stop(self, timeout: float = 1.0) -> None:
        """Resets every session, waits at most ``timeout`` seconds for that, and joins the threads."""
        self._check(lib.dp_stop(self._engine, int(timeout * SECOND)))

    def close(self) -> None:
        """Frees everything; harmless when called again."""
        if self._engine is not None:
            lib.dp_close(self._engine)
            self._engine = None

    def step(self, now: int) -> None:
        """One turn of every worker at ``now`` (nanoseconds), without threads."""
        lib.dp_step(self._engine, now)

    def drain(self) -> None:
        """From the next turn on: sessions are reset, new connections refused."""
        lib.dp_drain(self._engine)

    def change(self, transfers: Sequence[Transfer], sessions_per_second: int = 0) -> None:
        """From its next turn on each worker has these transfers, by index, and this cap on new sessions.

        Raises DataplaneError; EBUSY passes by itself. ``is_changed`` says when all workers have followed.
        """
        limits = replace(self.config.limits, sessions_per_second=sessions_per_second)
        config = replace(self.config, transfers=tuple(transfers), limits=limits)
        self._check(lib.dp_change(self._engine, _config(config)))
        self.config = config

    def is_changed(self) -> bool:
        """Every worker has taken up the last change, and ended the sessions that it ends."""
        return bool(lib.dp_change_taken(self._engine))

    def ask_sessions(
        self,
        *,
        transfer: int | None = None,
        state: SessionState | None = None,
        place: int | None = None,
        client: Address | None = None,
        limit: int = MAX_ROWS,
    ) -> None:
        """Asks every worker for those of its sessions that fit. Raises DataplaneError."""
        query = ffi.new(
            "struct dp_session_query *",
            {
                "transfer": lib.DP_ANY if transfer is None else transfer,
                "state": lib.DP_ANY if state is None else state,
                "place": lib.DP_ANY if place is None else place,
                "client_ip": address_bytes(client),
                "limit": limit,
            },
        )
        self._check(lib.dp_sessions_ask(self._engine, query))

    def take_sessions(self, limit: int = MAX_ROWS) -> tuple[list[Session], bool] | None:
        """The answer: sessions, and whether there are more; None: a worker has not answered yet."""
        rows, more = ffi.new("struct dp_session_row[]", limit), ffi.new("uint32_t *")
        count = lib.dp_sessions_take(self._engine, rows, limit, more)
        if count == -errno.EAGAIN:
            return None
        return [_session(rows[index]) for index in range(self._check(count))], bool(more[0])

    def set_neighbour(self, transfer: int, mac: str) -> None:
        """The next hop of the transfer's target has a new link-layer address."""
        self._check(lib.dp_set_neighbour(self._engine, transfer, mac_bytes(mac)))

    def counters(self, worker: int | None = None) -> dict[str, int]:
        """Every counter by name: of one worker, or summed over all."""
        workers = range(self.config.workers) if worker is None else (worker,)
        value = lib.dp_counter_value
        return {c.name: sum(value(self._engine, w, c.index) for w in workers) for c in COUNTERS}

    def segment(self) -> Segment:
        """Its stats segment, as other processes see it; valid until ``close``."""
        size = ffi.new("size_t *")
        memory = lib.dp_segment(self._engine, size)
        return Segment(ffi.buffer(memory, size[0]))

    def modes(self) -> list[list[PortMode]]:
        """The mode obtained: for each port, for each queue."""
        return [
            [PortMode(self._check(lib.dp_port_mode(self._engine, index, q))) for q in range(port.queues)]
            for index, port in enumerate(self.config.ports)
        ]

    def huge_pages(self) -> list[int]:
        """For each port: how many queues have their buffers on reserved huge pages."""
        return [
            sum(self._check(lib.dp_port_huge_pages(self._engine, index, q)) for q in range(port.queues))
            for index, port in enumerate(self.config.ports)
        ]

    def port_statistics(self, port: int, queue: int) -> PortStatistics:
        """The kernel's statistics of one socket."""
        out = ffi.new("struct dp_port_statistics *")
        self._check(lib.dp_port_statistics(self._engine, port, queue, out))
        return PortStatistics(**{name: getattr(out, name) for name in PortStatistics.__dataclass_fields__})

    def capture_progress(self) -> CaptureProgress:
        """How far the capture files have been replayed; to be asked at any time."""
        out = ffi.new("struct dp_capture_progress *")
        self._check(lib.dp_capture_progress(self._engine, out))
        fields = {name: getattr(out, name) for name in CaptureProgress.__dataclass_fields__}
        return CaptureProgress(**{**fields, "paused": bool(out.paused), "finished": bool(out.finished)})

    def capture_troubles(self) -> dict[str, str]:
        """A sentence for each capture file whose rest could not be read."""
        out = ffi.new("char[]", lib.DP_ERROR_SIZE)
        found = {}
        for index, name in enumerate(self.config.capture.files):
            self._check(lib.dp_capture_trouble(self._engine, index, out, lib.DP_ERROR_SIZE))
            if out[0] != b"\0":
                found[name] = ffi.string(out).decode(errors="replace")
        return found

    def pause_capture(self) -> None:
        """Stops the clock of the capture; sessions go on with what they have."""
        self._check(lib.dp_capture_pause(self._engine, 1))

    def resume_capture(self) -> None:
        """Lets the clock of the capture go on from where it stood."""
        self._check(lib.dp_capture_pause(self._engine, 0))

    def inject(self, port: int, queue: int, frame: bytes) -> None:
        """Puts a frame into a memory port, as if it had arrived."""
        self._check(lib.dp_mem_send(self._engine, port, queue, frame, len(frame)))

    def collect(self, port: int, queue: int) -> bytes | None:
        """The next frame that the line sent on a memory port, or None."""
        size = self._check(lib.dp_mem_receive(self._engine, port, queue, self._frame, MAX_FRAME))
        return bytes(ffi.buffer(self._frame, size)) if size else None

    def limit(self, port: int, queue: int, frames: int) -> None:
        """How many sent frames a memory port holds before its TX ring is full."""
        self._check(lib.dp_mem_limit(self._engine, port, queue, frames))


class Segment:
    """The stats segment of an engine in another process, read from a mapping of its file."""

    def __init__(self, memory: Any) -> None:  # noqa: ANN401 - whatever has a buffer
        """Raises DataplaneError if the memory was not written by this version."""
        self._memory = ffi.from_buffer(memory)
        workers = ffi.new("uint32_t *")
        code = lib.dp_segment_check(self._memory, len(memory), workers)
        if code:
            raise DataplaneError(-code, "the stats segment was written by another version of xdpcopy")
        self.workers: int = workers[0]

    def counters(self, worker: int | None = None) -> dict[str, int]:
        """As Dataplane.counters."""
        workers = range(self.workers) if worker is None else (worker,)
        value = lib.dp_segment_value
        return {c.name: sum(value(self._memory, w, c.index) for w in workers) for c in COUNTERS}

    def transfer(self, transfer: int) -> dict[str, int]:
        """What is counted for the transfer at this index, summed over all workers."""
        value, workers = lib.dp_segment_transfer_value, range(self.workers)
        return {
            c.name: sum(value(self._memory, w, transfer, c.index) for w in workers) for c in TRANSFER_COUNTERS
        }

    def answer_times(self, transfer: int, side: Side) -> Histogram:
        """From the last byte of a request to the first of its answer, all workers together."""
        total, most, buckets = 0, 0, [0] * len(BOUNDS)
        one = ffi.new("struct dp_histogram *")
        for worker in range(self.workers):
            lib.dp_segment_answer_time(self._memory, worker, transfer, side, one)
            total, most = total + one.sum, max(most, one.most)
            buckets = [a + b for a, b in zip(buckets, one.buckets, strict=True)]
        return Histogram(total, most, tuple(buckets))

    def heartbeat(self, worker: int) -> int:
        """The worker's clock (nanoseconds, CLOCK_MONOTONIC) at its last housekeeping."""
        return int(lib.dp_segment_heartbeat(self._memory, worker))
