"""What ioctl says about a network device of the caller's network namespace: address, MTU, driver, queues."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from array import array
from dataclasses import dataclass

from dataplane.pyxdp.errors import XdpError, no_device

_SIOCGIFFLAGS, _SIOCGIFMTU, _SIOCGIFHWADDR, _SIOCETHTOOL = 0x8913, 0x8921, 0x8927, 0x8946
_ETHTOOL_GDRVINFO, _ETHTOOL_GCHANNELS = 0x03, 0x3C
_IFF_UP = 1
_NAME_SIZE = 16

_IFREQ = struct.Struct("16s24x")
_DRIVER_INFO = struct.Struct("I32s32s32s32s32s12x5I")
_CHANNELS = struct.Struct("9I")


@dataclass(frozen=True)
class Queues:
    """Queues of a device as ``ethtool -l`` says: in use, and at most. A combined one is RX and TX."""

    combined: int
    rx: int
    tx: int
    most_combined: int
    most_rx: int
    most_tx: int

    @property
    def bindable(self) -> int:
        """Queues, from 0, that a socket can receive from."""
        return self.combined + self.rx


@dataclass(frozen=True)
class Interface:
    """The plain facts about a device."""

    ifindex: int
    mac: str
    mtu: int
    up: bool


def interface(device: str) -> Interface:
    """Index, MAC address, MTU, whether it is set up. Raises XdpError if there is no such device."""
    try:
        ifindex = socket.if_nametoindex(device)
        (flags,) = struct.unpack_from("H", _ioctl(device, _SIOCGIFFLAGS), _NAME_SIZE)
        (mtu,) = struct.unpack_from("i", _ioctl(device, _SIOCGIFMTU), _NAME_SIZE)
        address = _ioctl(device, _SIOCGIFHWADDR)[_NAME_SIZE + 2 : _NAME_SIZE + 8]
    except OSError:
        raise no_device(device) from None
    return Interface(ifindex, address.hex(":"), mtu, bool(flags & _IFF_UP))


def driver(device: str) -> tuple[str, str]:
    """Name of the driver and bus address (as ``0000:01:00.0``); empty where the device does not say."""
    answer = ask(device, _DRIVER_INFO.pack(_ETHTOOL_GDRVINFO, *[b""] * 5, *[0] * 5))
    if answer is None:
        return "", ""
    fields = _DRIVER_INFO.unpack(answer)
    return fields[1].rstrip(b"\0").decode(), fields[4].rstrip(b"\0").decode()


def queues(device: str) -> Queues | None:
    """The device's queues, or None if its driver does not say."""
    answer = ask(device, _CHANNELS.pack(_ETHTOOL_GCHANNELS, *[0] * 8))
    if answer is None:
        return None
    _, most_rx, most_tx, _, most_combined, rx, tx, _, combined = _CHANNELS.unpack(answer)
    return Queues(combined, rx, tx, most_combined, most_rx, most_tx)


def _ioctl(device: str, request: int) -> bytes:
    if len(device.encode()) >= _NAME_SIZE:
        raise OSError(errno.ENODEV, device)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        return fcntl.ioctl(asker, request, _IFREQ.pack(device.encode()))


def ask(device: str, question: bytes) -> bytes | None:
    """The question as SIOCETHTOOL fills it in; None if the driver does not support it, or has no answer."""
    data = array("B", question)
    request = struct.pack("16sP16x", device.encode(), data.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            fcntl.ioctl(asker, _SIOCETHTOOL, request)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise no_device(device) from None
            if error.errno in (errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM):
                return None
            raise XdpError(error.errno, f"cannot ask the driver of {device}: {error.strerror}") from None
    return data.tobytes()
