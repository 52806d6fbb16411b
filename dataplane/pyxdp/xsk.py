"""AF_XDP sockets: receive and send frames of one queue of one device."""

from __future__ import annotations

import errno
import select
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Self

from dataplane.pyxdp._pyxdp import ffi, lib
from dataplane.pyxdp.errors import XdpError, failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from dataplane.pyxdp.maps import Map

BURST = 64
LEAST_FRAME = 14  # an Ethernet header; drivers trust that it is there


class SocketMode(Enum):
    """How frames pass between device and process: ZEROCOPY in place, COPY by the kernel; AUTO: the best."""

    AUTO = lib.AFXDP_AUTO
    ZEROCOPY = lib.AFXDP_ZEROCOPY
    COPY = lib.AFXDP_COPY


@dataclass(frozen=True)
class Statistics:
    """The kernel's XDP_STATISTICS of a socket since it was opened; ``afxdp.h`` says what each means."""

    rx_dropped: int
    rx_invalid_descs: int
    tx_invalid_descs: int
    rx_ring_full: int
    rx_fill_ring_empty_descs: int
    tx_ring_empty_descs: int


class Socket:
    """A socket bound to a queue, with an umem of its own; a context manager that closes it.

    The umem is not a class of its own because only one socket ever uses one here: shared umems need rules
    about who gives back which frame, and gain nothing where frames are copied into ``bytes`` anyway.

    ``mode`` is the mode obtained. Frames arrive once ``register`` has put the socket into the XSKMAP of the
    program that is attached to the device. A socket must not be used by two threads at once.
    """

    def __init__(  # noqa: PLR0913 - one for each choice
        self,
        device: str,
        queue: int = 0,
        mode: SocketMode = SocketMode.AUTO,
        *,
        ring_size: int = 2048,
        transmit: bool = True,
        fragments: bool = False,
    ) -> None:
        """Opens and binds; raises XdpError with cause and cure.

        ring_size: frames of the RX ring and of the TX ring, a power of two; the umem has three times as many.
        fragments: frames may come in several buffers (jumbo frames); they are received in one piece.
        transmit: False leaves out the TX ring: the kernel then cannot send from this socket.
        """
        opened = ffi.new("struct afxdp **")
        error = ffi.new("char[]", lib.AFXDP_ERROR_SIZE)
        name = ffi.new("char[]", device.encode())
        config = ffi.new(
            "struct afxdp_config *",
            {
                "device": name,
                "queue": queue,
                "mode": mode.value,
                "ring_size": ring_size,
                "transmit": transmit,
                "fragments": fragments,
            },
        )
        code = lib.afxdp_open(config, opened, error)
        if code:
            raise XdpError(-code, ffi.string(error).decode())
        self.device = device
        self.queue = queue
        self._socket = ffi.gc(opened[0], lib.afxdp_close)
        self.mode = SocketMode(lib.afxdp_mode_of(self._socket))
        self._burst = ffi.new("struct afxdp_frame[]", BURST)
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Unbinds and frees the umem; may be called again. The kernel takes the socket out of its XSKMAP."""
        if self._socket is not None:
            ffi.release(self._socket)
            self._socket = None

    def fileno(self) -> int:
        """The descriptor, for poll and select."""
        return int(lib.afxdp_fd(self._open()))

    def register(self, sockets: Map) -> None:
        """Puts the socket into an XSKMAP under the number of its queue. Raises XdpError."""
        code = lib.afxdp_register(self._open(), sockets.fd)
        if code:
            cures = {errno.E2BIG: f"it has no entry {self.queue}", errno.EINVAL: "it is no XSKMAP"}
            raise failure(code, f"cannot put queue {self.queue} of {self.device} into {sockets.name}", cures)

    def receive(self, most: int = BURST, timeout: float | None = 0.0) -> list[bytes]:
        """Up to ``most`` frames that have arrived.

        If there is none, waits ``timeout`` seconds for the first (None: for ever) and may still return none.
        """
        frames = self._receive(most)
        if frames or timeout == 0.0:
            return frames
        self._poll.poll(None if timeout is None else timeout * 1000)
        return self._receive(most)

    def send(self, frames: Iterable[bytes]) -> int:
        """Queues frames and hands them to the kernel; returns how many, from the first, had room.

        Raises ValueError for a frame that is no Ethernet frame or too long for the umem (those before it are
        sent), XdpError if the kernel does not send, as while the device is down.
        """
        socket = self._open()
        if not lib.afxdp_transmit_frames(socket):
            raise XdpError(errno.EPERM, f"queue {self.queue} of {self.device} was opened to receive only")
        sent = 0
        try:
            for frame in frames:
                if not self._submit(socket, frame):
                    break
                sent += 1
        finally:
            code = lib.afxdp_flush(socket)
        if code:
            raise failure(code, f"cannot send on queue {self.queue} of {self.device}", {})
        return sent

    @property
    def waiting(self) -> int:
        """Frames that have arrived and have not been received yet."""
        return int(lib.afxdp_waiting(self._open()))

    @property
    def room(self) -> int:
        """Frames that ``send`` would take now."""
        return int(lib.afxdp_transmit_room(self._open()))

    def statistics(self) -> Statistics:
        """What the kernel counted for this socket. Raises XdpError."""
        out = ffi.new("struct afxdp_statistics *")
        code = lib.afxdp_statistics_read(self._open(), out)
        if code:
            raise failure(code, f"cannot read the statistics of queue {self.queue} of {self.device}", {})
        return Statistics(**{name: getattr(out, name) for name in Statistics.__dataclass_fields__})

    def _open(self) -> object:
        if self._socket is None:
            raise XdpError(errno.EBADF, f"the socket of queue {self.queue} of {self.device} is closed")
        return self._socket

    def _receive(self, most: int) -> list[bytes]:
        socket = self._open()
        frames: list[bytes] = []
        while len(frames) < most:
            count = lib.afxdp_receive(socket, self._burst, min(BURST, most - len(frames)))
            if not count:
                break
            frames += [bytes(ffi.buffer(frame.data, frame.size)) for frame in self._burst[0:count]]
            lib.afxdp_refill(socket, self._burst, count)
        return frames

    def _submit(self, socket: object, frame: bytes) -> bool:
        reserved = self._burst + 0
        if not lib.afxdp_reserve(socket, reserved):
            lib.afxdp_flush(socket)
            if not lib.afxdp_reserve(socket, reserved):
                return False
        room = reserved.size
        fits = LEAST_FRAME <= len(frame) <= room
        if fits:
            ffi.memmove(reserved.data, frame, len(frame))
        reserved.size = len(frame) if fits else 0  # size 0 gives the frame back
        lib.afxdp_submit(socket, reserved)
        if not fits:
            raise ValueError(f"a frame of {len(frame)} bytes; {LEAST_FRAME} to {room} can be sent")
        return True
