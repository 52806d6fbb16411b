"""BPF maps of a loaded program."""

from __future__ import annotations

import errno
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from dataplane.pyxdp._pyxdp import ffi, lib
from dataplane.pyxdp.errors import failure

if TYPE_CHECKING:
    from collections.abc import Iterator

Bytes: TypeAlias = bytes | int
"""A key or value: bytes as they lie in memory, or an integer that becomes as many bytes as the map wants."""


@dataclass(frozen=True)
class Member:
    """An integer in the struct that a map holds: its offset and size in bytes."""

    offset: int
    size: int

    def read(self, value: bytes) -> int:
        """The integer, out of a value of the map."""
        return int.from_bytes(value[self.offset : self.offset + self.size], sys.byteorder)

    def write(self, value: bytearray, number: int) -> None:
        """Puts the integer into a value of the map."""
        value[self.offset : self.offset + self.size] = number.to_bytes(self.size, sys.byteorder)


@dataclass(frozen=True)
class Map:
    """One map. ``members`` are the named integers of its values, if those are structs and the object has BTF.

    The map lives as long as its Program. Methods raise XdpError, and KeyError where there is no such key.
    """

    name: str
    fd: int
    key_size: int
    value_size: int
    entries: int
    per_cpu: bool
    members: dict[str, Member]

    def update(self, key: Bytes, value: Bytes) -> None:
        """Sets the value of a key; in a per-CPU map on every CPU."""
        data = _pack(value, self.value_size)
        if self.per_cpu:
            data = data.ljust(_padded(self.value_size), b"\0") * _cpus()
        self._check(lib.map_update(self.fd, _pack(key, self.key_size), data), "write to")

    def lookup(self, key: Bytes) -> bytes:
        """The value of a key. Of a per-CPU map: of all CPUs, one behind the other, as the kernel has them."""
        size = _padded(self.value_size) * _cpus() if self.per_cpu else self.value_size
        out = ffi.new("uint8_t[]", size)
        code = lib.map_lookup(self.fd, _pack(key, self.key_size), out)
        if code == -errno.ENOENT:
            raise KeyError(key)
        self._check(code, "read from")
        return bytes(ffi.buffer(out, size))

    def lookup_each(self, key: Bytes) -> list[bytes]:
        """The value of a key for each possible CPU; of a map that is not per-CPU: one value."""
        data = self.lookup(key)
        step = _padded(self.value_size) if self.per_cpu else self.value_size
        return [data[at : at + self.value_size] for at in range(0, len(data), step)]

    def read(self, key: Bytes) -> dict[str, int]:
        """The members of a key's value by name, summed over the CPUs."""
        values = self.lookup_each(key)
        return {name: sum(map(member.read, values)) for name, member in self.members.items()}

    def delete(self, key: Bytes) -> None:
        """Removes a key."""
        code = lib.map_delete(self.fd, _pack(key, self.key_size))
        if code == -errno.ENOENT:
            raise KeyError(key)
        self._check(code, "delete from")

    def keys(self) -> Iterator[bytes]:
        """All keys. Keys added or deleted meanwhile may be missed, or restart the walk."""
        key, out = ffi.NULL, ffi.new("uint8_t[]", self.key_size)
        while (code := lib.map_next_key(self.fd, key, out)) == 0:
            key = bytes(ffi.buffer(out, self.key_size))
            yield key
        if code != -errno.ENOENT:
            self._check(code, "list")

    def _check(self, code: int, doing: str) -> None:
        if code:
            cures = {errno.E2BIG: f"it holds at most {self.entries} entries"}
            raise failure(code, f"cannot {doing} BPF map {self.name}", cures)


def open_maps(program: object) -> dict[str, Map]:
    """The maps of a ``struct program *`` by name."""
    maps: dict[str, Map] = {}
    out = ffi.new("struct program_map *")
    number = 0
    while lib.program_map_at(program, number, out) == 0:
        name = ffi.string(out.name).decode()
        members = _members(program, number)
        maps[name] = Map(name, out.fd, out.key_size, out.value_size, out.entries, bool(out.per_cpu), members)
        number += 1
    return maps


def _members(program: object, number: int) -> dict[str, Member]:
    members: dict[str, Member] = {}
    out = ffi.new("struct program_member *")
    index = 0
    while lib.program_member_at(program, number, index, out) == 0:
        if out.size:
            members[ffi.string(out.name).decode()] = Member(out.offset, out.size)
        index += 1
    return members


def _pack(value: Bytes, size: int) -> bytes:
    data = value.to_bytes(size, sys.byteorder) if isinstance(value, int) else value
    if len(data) != size:
        raise ValueError(f"{len(data)} bytes where the map has {size}")
    return data


def _padded(size: int) -> int:
    """Bytes of one CPU's value: padded to eight."""
    return (size + 7) & ~7


def _cpus() -> int:
    return int(lib.map_cpus())
