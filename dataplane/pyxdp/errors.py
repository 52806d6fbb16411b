"""The one exception of the package, and the sentences that several modules share."""

from __future__ import annotations

import errno
import os


class XdpError(OSError):
    """XDP or AF_XDP failed: ``errno`` is for programs, ``strerror`` a sentence with cause and cure."""


def no_device(device: str) -> XdpError:
    """There is no network device of that name, here in this network namespace."""
    return XdpError(errno.ENODEV, f"there is no network device {device!r}; ip link shows those there are")


def failure(code: int, doing: str, cures: dict[int, str]) -> XdpError:
    """The error for a negative errno: what was being done, and why; ``cures`` has better words than errno."""
    return XdpError(-code, f"{doing}: {cures.get(-code) or os.strerror(-code)}")


PERMISSION = "not permitted; run as root or with CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW"
