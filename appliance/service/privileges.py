"""Reduces the engine to the few capabilities it needs, for good."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# linux/capability.h, linux/prctl.h
CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "IPC_LOCK": 14, "SYS_NICE": 23, "PERFMON": 38, "BPF": 39}
HEADER_VERSION = 0x20080522
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop() -> None:
    """Drops every capability but CAPABILITIES, for good.

    Call it before starting threads: they would keep theirs. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    kept = sum(1 << number for number in CAPABILITIES.values())
    had = permitted()
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    if had & 1 << 8:  # SETPCAP
        for number in range(last + 1):
            if not kept >> number & 1:
                _check(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0))
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    left = had & kept
    words = (_Data * 2)(*(_Data(word, word, 0) for word in (left & 0xFFFFFFFF, left >> 32)))
    _check(libc.capset(ctypes.byref(_Header(HEADER_VERSION, 0)), words))


def permitted() -> int:
    """The capabilities of this process, as a bit mask."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:"))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot drop capabilities: {os.strerror(number)}")
