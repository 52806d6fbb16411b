"""The engine itself."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from dataplane._dataplane import ffi, lib
from dataplane.binding.captures import CaptureProgress
from dataplane.binding.config import PortMode
from dataplane.binding.counters import COUNTERS, Segment
from dataplane.binding.errors import DataplaneError, checked
from dataplane.binding.limits import ANY, MAX_FRAME, MAX_ROWS, SECOND
from dataplane.binding.sessions import Session, session_of
from dataplane.binding.structs import address_bytes, config_struct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from dataplane.binding.config import Config, Transfer
    from dataplane.binding.sessions import SessionState
    from dataplane.binding.structs import Address


@dataclass(frozen=True)
class PortStatistics:
    """What one queue of a port counts itself (``struct dp_port_statistics``)."""

    rx_dropped: int
    rx_ring_full: int
    rx_invalid: int
    tx_invalid: int
    rx_starved: int
    tx_idle: int


def steer_object() -> bytes:
    """The compiled XDP programs (``dataplane/bpf/steer.bpf.c``), for ``pyxdp.Program``."""
    size = ffi.new("size_t *")
    data = lib.dp_steer_object(size)
    return bytes(ffi.buffer(data, size[0]))


class Dataplane:
    """The C engine, as a context manager.

    Raises DataplaneError where a call fails. ``start`` and ``stop`` run and join the worker threads;
    ``step`` runs them here instead, by the caller's clock.
    """

    def __init__(self, config: Config) -> None:
        """Allocates everything and binds the sockets."""
        self.config = config
        engine = ffi.new("struct dp_engine **")
        made, _captures = config_struct(config)
        checked(lambda error, size: lib.dp_open(made, engine, error, size))
        self._engine = engine[0]
        self._frame = ffi.new("uint8_t[]", MAX_FRAME)

    def __enter__(self) -> Self:
        """The constructor has opened it."""
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
        """One loop of every worker at ``now`` (nanoseconds), without threads."""
        lib.dp_step(self._engine, now)

    def drain(self) -> None:
        """From now on sessions are reset and new connections refused."""
        lib.dp_drain(self._engine)

    def change(self, transfers: Sequence[Transfer], sessions_per_second: int = 0) -> None:
        """These transfers, by index, and this cap on new sessions take the place of those before.

        Raises DataplaneError; EBUSY passes by itself. ``is_changed`` says when all workers have followed.
        """
        limits = replace(self.config.limits, sessions_per_second=sessions_per_second)
        config = replace(self.config, transfers=tuple(transfers), limits=limits)
        made, _captures = config_struct(replace(config, ports=()))
        self._check(lib.dp_change(self._engine, made))
        self.config = config

    def is_changed(self) -> bool:
        """Every worker has taken up the last change, and ended the sessions that it ends."""
        return bool(lib.dp_change_taken(self._engine))

    def unconfirmed(self) -> int:
        """Sessions ended by changes that their target may still hold; ``dp_unconfirmed`` says when."""
        return int(lib.dp_unconfirmed(self._engine))

    def ask_sessions(
        self,
        *,
        transfer: int | None = None,
        state: SessionState | None = None,
        slot: int | None = None,
        client: Address | None = None,
        limit: int = MAX_ROWS,
    ) -> None:
        """Asks every worker for those of its sessions that fit. Raises DataplaneError."""
        query = ffi.new(
            "struct dp_session_query *",
            {
                "transfer": ANY if transfer is None else transfer,
                "state": ANY if state is None else state,
                "slot": ANY if slot is None else slot,
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
        return [session_of(rows[index]) for index in range(self._check(count))], bool(more[0])

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
        """What one queue of a port counted itself."""
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
        files = (name for port in self.config.ports if port.capture for name in port.capture.files)
        for index, name in enumerate(files):
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
