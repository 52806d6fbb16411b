"""XDP programs: load one out of an ELF object, fill its maps, attach it to a device, run it on a frame."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Self

from dataplane.pyxdp._pyxdp import ffi, lib
from dataplane.pyxdp.errors import PERMISSION, XdpError, failure, no_device
from dataplane.pyxdp.maps import Map, open_maps

if TYPE_CHECKING:
    from types import TracebackType

MAX_FRAME = 65536


# With these generic mode would fail too, or would hide that another program uses the device.
_FATAL = (errno.EBUSY, errno.EEXIST, errno.EPERM, errno.ENODEV)


class AttachMode(Enum):
    """How a program is attached: NATIVE is in the driver, GENERIC behind it (slower); AUTO takes the best."""

    AUTO = "auto"
    NATIVE = "native"
    GENERIC = "generic"


# linux/if_link.h: XDP_FLAGS_* and XDP_ATTACHED_* (3: in the device itself).
_FLAGS = {AttachMode.GENERIC: 1 << 1, AttachMode.NATIVE: 1 << 2}
_ATTACHED = {1: AttachMode.NATIVE, 2: AttachMode.GENERIC, 3: AttachMode.NATIVE}


class Verdict(IntEnum):
    """What a program says about a frame (``enum xdp_action``)."""

    ABORTED = 0
    DROP = 1
    PASS = 2
    TX = 3
    REDIRECT = 4


@dataclass(frozen=True)
class TestRun:
    """What a program did with a frame: its verdict, the frame afterwards, nanoseconds for each repetition."""

    __test__ = False  # pytest: this is no class of tests

    verdict: Verdict
    frame: bytes
    duration: int


class Program:
    """A loaded program; a context manager that unloads it. What it is attached to keeps it loaded."""

    @classmethod
    def load(cls, object_bytes: bytes, name: str, *, fragments: bool = False) -> Program:
        """Loads the function ``name`` of an ELF object that clang made, with maps of its own.

        ``fragments``: it can do with the first buffer of a frame that comes in several (jumbo frames).
        Raises XdpError: with libbpf's and the verifier's last words if the kernel refuses it.
        """
        program = ffi.new("struct program **")
        said = ffi.new("char[]", lib.PROGRAM_ERROR_SIZE)
        code = lib.program_load(object_bytes, len(object_bytes), name.encode(), fragments, program, said)
        if code:
            raise _load_error(code, name, ffi.string(said).decode(errors="replace").strip())
        return cls(program[0], name)

    def __init__(self, program: object, name: str) -> None:
        self._program: object | None = ffi.gc(program, lib.program_close)
        self.name = name
        self.maps: dict[str, Map] = open_maps(program)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Releases the program and its maps; may be called again. A Link outlives it."""
        if self._program is not None:
            ffi.release(self._program)
            self._program = None

    def fileno(self) -> int:
        """The program's descriptor."""
        if self._program is None:
            raise XdpError(errno.EBADF, f"program {self.name} is closed")
        return int(lib.program_fd(self._program))

    def attach(self, device: str, mode: AttachMode = AttachMode.AUTO) -> Link:
        """Attaches to a device by a bpf link: until ``detach``, or until this process ends, however it ends.

        AUTO tries native, then generic; ``Link.mode`` says which it became. Raises XdpError.
        """
        try:
            ifindex = socket.if_nametoindex(device)
        except OSError:
            raise no_device(device) from None
        if mode is AttachMode.GENERIC:
            return self._attach(device, ifindex, AttachMode.GENERIC)
        try:
            return self._attach(device, ifindex, AttachMode.NATIVE)
        except XdpError as error:
            if mode is AttachMode.NATIVE or error.errno in _FATAL:
                raise
            refusal = str(error.strerror)
        return self._attach(device, ifindex, AttachMode.GENERIC, refusal)

    def _attach(self, device: str, ifindex: int, mode: AttachMode, refusal: str = "") -> Link:
        link = int(lib.link_attach(self.fileno(), ifindex, _FLAGS[mode]))
        if link < 0:
            raise _attach_error(link, device, mode)
        return Link(device, ifindex, link, mode, refusal)

    def test_run(self, frame: bytes, device: str | None = None, queue: int = 0, repeat: int = 1) -> TestRun:
        """Runs the program on a frame (of 14 bytes or more), as if it came from a queue of a device.

        Nothing is sent or received; maps are read and written as ever. Raises XdpError.
        """
        out = ffi.new("uint8_t[]", MAX_FRAME)
        run = ffi.new("struct program_run *")
        ifindex = socket.if_nametoindex(device) if device else 0
        code = lib.program_test_run(
            self.fileno(), frame, len(frame), ifindex, queue, repeat, out, MAX_FRAME, run
        )
        if code:
            cures = {errno.EINVAL: "a frame has 14 bytes or more; the queue must exist"}
            raise failure(code, f"cannot run {self.name} on a frame of {len(frame)} bytes", cures)
        return TestRun(Verdict(run.verdict), bytes(ffi.buffer(out, run.size)), run.duration)


class Link:
    """A program's attachment to a device; a context manager that detaches.

    ``mode`` is what the kernel reports (NATIVE or GENERIC). ``refusal`` says why it is not native, if that
    was tried first.
    """

    def __init__(self, device: str, ifindex: int, link: int, asked: AttachMode, refusal: str) -> None:
        self.device = device
        self.ifindex = ifindex
        self.refusal = refusal
        self._link = link
        try:
            self.mode = attached_mode(ifindex) or asked
        except XdpError:
            self.detach()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()

    def fileno(self) -> int:
        """The link's descriptor, or -1 once it is detached."""
        return self._link

    def detach(self) -> None:
        """Takes the program off the device; may be called again, and after the device is gone."""
        if self._link >= 0:
            lib.link_detach(self._link)
            lib.link_close(self._link)
            self._link = -1


def attached_mode(ifindex: int) -> AttachMode | None:
    """The mode of the program on a device, whoever attached it; None: there is none."""
    program, mode = ffi.new("uint32_t *"), ffi.new("uint32_t *")
    code = lib.device_program(ifindex, program, mode)
    if code:
        raise failure(code, f"cannot ask for the XDP program of interface {ifindex}", {})
    return _ATTACHED.get(mode[0])


def _load_error(code: int, name: str, said: str) -> XdpError:
    cures = {errno.EPERM: PERMISSION, errno.ENOENT: "the object has no such program"}
    error = failure(code, f"cannot load XDP program {name}", cures)
    if said and code not in (-errno.EPERM, -errno.ENOENT):
        return XdpError(-code, f"{error.strerror}\n{said}")
    return error


def _attach_error(code: int, device: str, mode: AttachMode) -> XdpError:
    cures = {
        errno.EPERM: PERMISSION,
        errno.EBUSY: "it has an XDP program; stop the process that attached it (bpftool net list)",
        errno.EEXIST: "it has an XDP program in another mode; take it off (bpftool net list)",
        errno.EOPNOTSUPP: "its driver has no XDP of that mode; use mode generic or auto",
        errno.ERANGE: "its MTU is too large for XDP in its driver; lower it, or use mode generic",
    }
    refused = "the driver refuses; often its MTU is too large for XDP, LRO is on, or it has too few queues"
    if mode is AttachMode.NATIVE:
        cures.update(dict.fromkeys((errno.EINVAL, errno.EMSGSIZE, errno.ENOSPC), refused))
    return failure(code, f"cannot attach in {mode.value} mode to {device}", cures)
