"""The guest's file system, an initramfs: files of this machine under their own paths, and an ``init``.

Nothing is built for the guest: it runs the very interpreter, libraries, extensions and project that the other
tests run here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("appliance", "dataplane", "api")
TOOLS = ("/bin/busybox", "/sbin/ethtool", "/sbin/ip")
SKIPPED = {"test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "tkinter", "turtledemo", "src"}
LIBRARY = re.compile(r"(/\S+) \(0x")
REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")


def write(target: Path, own: Mapping[str, bytes]) -> None:
    """Writes the initramfs. ``own`` are files by path that only the guest has; all can be executed."""
    own_root = target.with_suffix(".own")
    for name in ("proc", "sys", "dev", "run", "tmp"):
        (own_root / name).mkdir(parents=True, exist_ok=True)
    for name, data in own.items():
        path = own_root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755)
    with target.open("wb") as image:  # two archives, one behind the other: the kernel takes both
        _pack(Path("/"), _with_ways(_borrowed()), image)
        _pack(own_root, (path for path in own_root.rglob("*")), image)


def _pack(root: Path, paths: Iterable[Path], image: object) -> None:
    names = "\n".join(str(path.relative_to(root)) for path in paths)
    argv = ("cpio", "--quiet", "-o", "-H", "newc", "-D", str(root))
    subprocess.run(argv, input=names.encode(), stdout=image, check=True)  # type: ignore[call-overload]


def _borrowed() -> Iterator[Path]:
    """Every file that the command xdpcopy may need, but for links to it and what its binaries load."""
    plain = [Path(sys.executable), Path(sys.prefix) / "pyvenv.cfg", *map(Path, TOOLS)]
    trees = [Path(sysconfig.get_path("stdlib")), *(ROOT / name for name in PROJECT)]
    plain += [path for tree in trees for path in _files(tree)]
    plain += _site_packages()
    yield from plain
    yield from _libraries([path for path in plain if path.suffix == ".so" or str(path) in TOOLS])


def _files(tree: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith("config-")]
        yield from (Path(folder) / name for name in names)


def _site_packages() -> Iterator[Path]:
    """Files of the distributions that the project depends on, and theirs."""
    wanted, seen = ["xdpcopy"], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        found = metadata.distribution(name)
        wanted += [
            match[0].lower()
            for line in found.requires or ()
            if "extra ==" not in line and _applies(line) and (match := REQUIREMENT.match(line))
        ]
        yield from (Path(str(file.locate())) for file in found.files or ())


def _applies(requirement: str) -> bool:
    """Whether a requirement is one here: those of other systems and versions are not installed."""
    try:
        metadata.distribution(REQUIREMENT.match(requirement)[0])  # type: ignore[index]
    except metadata.PackageNotFoundError:
        return False
    return True


def _libraries(binaries: Iterable[Path]) -> set[Path]:
    """What the binaries, and the interpreter, load."""
    argv = ("ldd", os.path.realpath(sys.executable), *map(str, binaries))
    shown = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    return {Path(name) for name in LIBRARY.findall(shown)}


def _with_ways(paths: Iterable[Path]) -> list[Path]:
    """The paths with every folder and symbolic link on the way to them, each before what lies behind it."""
    found: dict[Path, None] = {}

    def add(path: Path) -> None:
        if path in found or path == Path("/"):
            return
        add(path.parent)
        real = path.parent.resolve() / path.name
        if real != path:
            add(real)
            return
        found[path] = None
        if path.is_symlink():
            add(path.parent / path.readlink())

    for path in paths:
        if path.exists():
            add(Path(os.path.normpath(path)))
    return list(found)
