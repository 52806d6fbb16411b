"""Checks of this machine: kernel, ports, forwarding, next hops, client pools."""

from __future__ import annotations

import array
import fcntl
import os
import platform
import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.doctor.finding import fault, ok, skipped, warning
from appliance.engine.forecast import forecast
from appliance.engine.nic import Neighbours
from appliance.errors import ConfigError, DeviceError
from dataplane.pyxdp import XdpError, capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.contract.doctor import Finding
    from appliance.settings.config import Config
    from dataplane.pyxdp import Capabilities

LEAST_KERNEL = (5, 9)  # XDP programs attached by a bpf_link
PROC = Path("/proc/sys/net")

# linux/sockios.h, linux/ethtool.h
SIOCETHTOOL = 0x8946
ETHTOOL_GFLAGS, ETH_FLAG_LRO = 0x25, 1 << 15
ETHTOOL_GGRO = 0x2B


def examine_machine(config: Config) -> Iterator[Finding]:
    """All checks that need no traffic."""
    yield _kernel(platform.release())
    yield _privileges(os.geteuid())
    yield from _forwarding()
    for port in config.mirror:
        yield from _port(port.device, mirror=True)
    yield from _port(config.test.device, mirror=False)
    yield from _neighbours(config)
    yield from _pools(config)


def _kernel(release: str) -> Finding:
    match = re.match(r"(\d+)\.(\d+)", release)
    version = tuple(map(int, match.groups())) if match else ()
    if version >= LEAST_KERNEL:
        return ok("kernel", f"Linux {release}")
    return fault(
        "kernel", f"Linux {release}", "XDP programs cannot be attached by a link", "use Linux 5.9 or later"
    )


def _privileges(user: int) -> Finding:
    if not user:
        return ok("privileges", "root")
    return fault("privileges", f"user {user}", "AF_XDP and XDP programs need root", "run it with sudo")


def _forwarding() -> Iterator[Finding]:
    """A machine that forwards would send copied frames, and answers for real clients, on."""
    for family, name in (("ipv4", "ip_forward"), ("ipv6", "conf/all/forwarding")):
        path = PROC / family / name
        if not path.exists():
            continue
        key = f"net.{family}.{name.replace('/', '.')}"
        if path.read_text().strip() == "0":
            yield ok("forwarding", f"{key} is 0")
        else:
            yield fault(
                "forwarding",
                f"{key} is on",
                "while no engine runs, this machine would forward mirrored frames, and answers to real"
                " clients",
                f"sysctl -w {key}=0",
            )


def _port(device: str, *, mirror: bool) -> Iterator[Finding]:
    try:
        facts = capabilities(device)
    except (XdpError, OSError) as error:
        yield fault(
            "port",
            f"{device}: {error}",
            "the configuration names another device",
            "ip -br link lists the devices",
        )
        return
    if not facts.up:
        yield fault("port", f"{device} is down", "it was never brought up", f"ip link set {device} up")
        return
    if Path(f"/sys/class/net/{device}/carrier").read_text().strip() != "1":
        yield fault(
            "port",
            f"{device} has no carrier",
            "cable or optics, or the switch port is shut",
            "repair the link",
        )
        return
    kind = "native" if facts.native else "generic" if facts.native is False else "unknown"
    zero_copy = {True: "zero-copy", False: "no zero-copy", None: "zero-copy unknown"}[facts.zero_copy]
    checksum = {True: "offered", False: "not offered", None: "unknown"}[facts.tx_checksum]
    yield ok(
        "port",
        f"{device}: driver {facts.driver}, XDP {kind}, {zero_copy}, {facts.queues.bindable} queues,"
        f" checksums for AF_XDP {checksum} (not used)",
    )
    yield _mtu(device, facts)
    if mirror:
        yield _offloads(device)


def _mtu(device: str, facts: Capabilities) -> Finding:
    most = facts.largest_mtu
    if facts.mtu <= most:
        return ok("mtu", f"{device} has MTU {facts.mtu}")
    return fault(
        "mtu",
        f"{device} has MTU {facts.mtu}",
        f"an AF_XDP frame holds at most {most} on this device",
        f"ip link set {device} mtu {most}",
    )


def _offloads(device: str) -> Finding:
    """Frames merged by the device or the kernel are not the ones that the client sent."""
    joined = [name for name, on in _receive_offloads(device) if on]
    if not joined:
        return ok("offloads", f"{device}: gro and lro are off")
    return warning(
        "offloads",
        f"{device}: {', '.join(joined)} on",
        "frames are merged before a generic XDP program sees them (lro: before any)",
        f"ethtool -K {device} {' '.join(f'{name} off' for name in joined)}",
    )


def _receive_offloads(device: str) -> Iterator[tuple[str, bool]]:
    for name, command, mask in (("gro", ETHTOOL_GGRO, 1), ("lro", ETHTOOL_GFLAGS, ETH_FLAG_LRO)):
        yield name, bool(_ethtool_value(device, command) & mask)


def _ethtool_value(device: str, command: int) -> int:
    """A value of ``ethtool -k``; 0 if the driver does not support the request."""
    value = array.array("I", [command, 0])
    request = struct.pack("16sP", device.encode(), value.buffer_info()[0])
    with socket.socket() as any_socket:
        try:
            fcntl.ioctl(any_socket, SIOCETHTOOL, request)
        except OSError:
            return 0
    return value[1]


def _neighbours(config: Config) -> Iterator[Finding]:
    targets = dict.fromkeys(transfer.target.address for transfer in config.transfers)
    try:
        found = Neighbours(config.test.device).wait(targets)
        for target in targets:
            if target in found.problems:
                problem = str(found.problems[target])
                cause = "the target is off, in another segment, or the address is wrong"
                yield fault("next_hop", problem, cause, f"ip route get {target}; ip neigh; ping the next hop")
            else:
                hop = found.hops[target]
                yield ok("next_hop", f"{target} by {hop.address} at {hop.mac}")
    except (OSError, DeviceError) as error:
        yield skipped("next_hop", str(error))


def _pools(config: Config) -> Iterator[Finding]:
    try:
        for each in forecast(config):
            if each.warning:
                yield warning(
                    "pool_size",
                    each.warning,
                    "there may be more connections than endpoints",
                    "give more addresses in clients, or a lower multiplier",
                )
            else:
                yield ok("pool_size", f"{each.transfer.label}: {each.sentence}")
    except ConfigError as error:
        yield fault(
            "pool_size",
            str(error),
            "the pool is smaller than the multiplier",
            "give more addresses in clients",
        )
    yield from _overlaps(config)


def _overlaps(config: Config) -> Iterator[Finding]:
    """Forged clients that are production's hosts, which stray answers would reach."""
    production = config.safety.production_networks
    for transfer in config.transfers:
        for one in config.pool(transfer):
            for network in production:
                first, last = int(network[0]), int(network[-1])
                if network.version == one.version and int(one.first) <= last and int(one.last) >= first:
                    yield fault(
                        "pool_overlap",
                        f"{transfer.label}: clients {one} overlap {network}",
                        "the network is in safety.production_networks",
                        "give clients from a network without production hosts",
                    )
