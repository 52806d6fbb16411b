"""AF_XDP for Python: programs, sockets and what a device can do, over libbpf and libxdp. See README.md."""

from dataplane.pyxdp.capabilities import Capabilities, capabilities
from dataplane.pyxdp.errors import XdpError
from dataplane.pyxdp.ethtool import Queues
from dataplane.pyxdp.maps import Map, Member
from dataplane.pyxdp.program import AttachMode, Link, Program, TestRun, Verdict, attached_mode
from dataplane.pyxdp.xsk import Socket, SocketMode, Statistics

__all__ = [
    "AttachMode",
    "Capabilities",
    "Link",
    "Map",
    "Member",
    "Program",
    "Queues",
    "Socket",
    "SocketMode",
    "Statistics",
    "TestRun",
    "Verdict",
    "XdpError",
    "attached_mode",
    "capabilities",
]
