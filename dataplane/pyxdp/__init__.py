"""AF_XDP for Python: programs, sockets and what a device can do, over libbpf and libxdp. See README.md."""

from dataplane.pyxdp.errors import XdpError
from dataplane.pyxdp.maps import Map, Member
from dataplane.pyxdp.program import AttachMode, Link, Program, TestRun, Verdict

__all__ = [
    "AttachMode",
    "Link",
    "Map",
    "Member",
    "Program",
    "TestRun",
    "Verdict",
    "XdpError",
]
