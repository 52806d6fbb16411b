"""From the dataclasses of a configuration to struct dp_config; and addresses to bytes and back."""

from __future__ import annotations

import errno
import os
from dataclasses import asdict
from ipaddress import IPv4Address, IPv6Address
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from dataplane._dataplane import ffi, lib
from dataplane.binding.errors import DataplaneError, checked
from dataplane.binding.limits import MAX_CAPTURE_PATH, MAX_CAPTURES, NO_CPU

if TYPE_CHECKING:
    from dataplane.binding.config import Capture, Config, Port, Rss, Transfer

Address = IPv4Address | IPv6Address


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


def mac_bytes(mac: str) -> bytes:
    """Six bytes of ``aa:bb:cc:dd:ee:ff``."""
    return bytes.fromhex(mac.replace(":", ""))


def _port(port: Port, capture: Any) -> dict[str, Any]:  # noqa: ANN401 - a cffi pointer
    fields = asdict(port)
    fields.update(device=port.device.encode(), mac=mac_bytes(port.mac), capture=capture)
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


def _capture(capture: Capture | None) -> Any:  # noqa: ANN401 - a cffi pointer
    """Raises DataplaneError for what the struct cannot hold."""
    if capture is None:
        return ffi.NULL
    names = [os.fsencode(name) for name in capture.files]
    if len(names) > MAX_CAPTURES:
        raise DataplaneError(
            errno.EINVAL, f"{len(names)} capture files; at most {MAX_CAPTURES} can be replayed together"
        )
    for name in names:
        if len(name) > MAX_CAPTURE_PATH:
            raise DataplaneError(errno.ENAMETOOLONG, f"a capture's path is too long: {os.fsdecode(name)}")
    fields = asdict(capture)
    fields.update(files=names, file_count=len(names))
    return ffi.new("struct dp_capture *", fields)


def _rss(rss: Rss) -> dict[str, Any]:
    sizes = {"table_size": len(rss.table), "key_size": len(rss.key)}
    return {**sizes, **asdict(rss)}


def config_struct(config: Config) -> tuple[Any, list[Any]]:
    """The struct, and the captures that it points to: to be kept as long as it is read.

    Raises DataplaneError for what the structs cannot hold.
    """
    captures = [_capture(port.capture) for port in config.ports]
    ranges = [one for transfer in config.transfers for one in transfer.pool]
    firsts = accumulate((len(transfer.pool) for transfer in config.transfers), initial=0)
    pinned = list(config.cpus) + [NO_CPU] * (config.workers - len(config.cpus))
    made = ffi.new(
        "struct dp_config *",
        {
            "workers": config.workers,
            "cpus": pinned,
            "port_count": len(config.ports),
            "ports": [_port(*pair) for pair in zip(config.ports, captures, strict=True)],
            "transfer_count": len(config.transfers),
            "transfers": [_transfer(*pair) for pair in zip(config.transfers, firsts, strict=False)],
            "range_count": len(ranges),
            "ranges": [{"first": address_bytes(r.first), "count": r.count} for r in ranges],
            "limits": asdict(config.limits),
            "rss": _rss(config.rss),
            "timing": asdict(config.timing),
            "clock_offset": config.clock_offset,
            "stats_path": config.stats_path.encode(),
        },
    )
    if config.filter:
        _compile(config.filter, ffi.addressof(made, "filter"))
    return made, captures


def check_filter(text: str) -> None:
    """Raises DataplaneError, with libpcap's sentence, for what is no filter of pcap-filter(7)."""
    _compile(text, ffi.new("struct dp_filter *"))


def _compile(text: str, into: Any) -> None:  # noqa: ANN401 - a cffi struct has no Python type
    checked(lambda error, size: lib.dp_filter_compile(text.encode(), into, error, size))
