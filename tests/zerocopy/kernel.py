"""A kernel for the guest: one of Debian's backports, unpacked beside the system, never installed.

It is fetched once, with an apt state of its own, from the mirror that this machine's apt uses, and kept under
the user's cache. Remove the folder that ``cache()`` names to get a newer one.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie-backports"  # Linux 6.13 or newer: the first whose virtio_net has zero-copy
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
FETCH_TIMEOUT_S = 300
REPOSITORY = re.compile(r"^Packages\|Debian\|(\S+)$", re.MULTILINE)
IMAGE = re.compile(r"linux-image-(\d\S*)")


class KernelError(Exception):
    """There is no kernel for the guest; the message says why, and what to do."""


@dataclass(frozen=True)
class Kernel:
    """A kernel's image, and its modules in the order in which they are loaded."""

    release: str
    image: Path
    modules: tuple[Path, ...]


def cache() -> Path:
    """Where the kernel is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "xdpcopy" / "kernel"


def kernel(flavour: str, modules: tuple[str, ...]) -> Kernel:
    """The kernel of Debian's package ``linux-image-FLAVOUR``; fetched if it was not. Raises KernelError."""
    home = cache() / flavour
    if not (home / "vmlinuz").exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as folder:
            made = _fetch(flavour, Path(folder))
            shutil.rmtree(home, ignore_errors=True)
            made.rename(home)  # whole or not at all
    release = (home / "release").read_text()
    return Kernel(release, home / "vmlinuz", tuple(_module(home, name) for name in modules))


def _module(home: Path, name: str) -> Path:
    """The module, unpacked: the guest's busybox cannot."""
    packed = next((home / "modules").rglob(f"{name}.ko.xz"), None)
    if packed is None:
        raise KernelError(f"the kernel in {home} has no module {name}")
    plain = home / f"{name}.ko"
    if not plain.exists():
        plain.write_bytes(lzma.decompress(packed.read_bytes()))
    return plain


def _fetch(flavour: str, folder: Path) -> Path:
    options = _apt_state(folder)
    _run("apt-get", *options, "update", "-qq", cwd=folder)
    shown = _run("apt-cache", *options, "show", f"linux-image-{flavour}", cwd=folder)
    found = IMAGE.search(shown)
    if found is None:
        raise KernelError(f"linux-image-{flavour} of {SUITE} names no kernel")
    release = found[1].rstrip(",")
    known = _run("apt-cache", *options, "pkgnames", cwd=folder).splitlines()
    # Up to 6.x the image package holds all, from 7.x on the other two do.
    wanted = [f"linux-{part}-{release}" for part in ("image", "binary", "modules")]
    _run("apt-get", *options, "download", "-qq", *(name for name in wanted if name in known), cwd=folder)
    root = folder / "root"
    for package in sorted(folder.glob("linux-*.deb")):
        _run("dpkg-deb", "-x", str(package), str(root), cwd=folder)
    made = folder / "made"
    made.mkdir()
    image = next(path for path in root.rglob("vmlinuz*") if path.is_file())
    image.rename(made / "vmlinuz")
    next(path for path in root.rglob("modules/*/kernel") if path.is_dir()).rename(made / "modules")
    (made / "release").write_text(release)
    return made


def _apt_state(folder: Path) -> list[str]:
    """Options with which apt reads and writes nothing but this folder and the keyring."""
    targets = ("--format", "$(CREATED_BY)|$(LABEL)|$(REPO_URI)", "Created-By: Packages")
    repository = REPOSITORY.search(_run("apt-get", "indextargets", *targets, cwd=folder))
    if repository is None:
        raise KernelError("apt knows no Debian mirror; add one to its sources and run apt-get update")
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {repository[1]} {SUITE} main\n")
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    return [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]


def _run(*argv: str, cwd: Path) -> str:
    try:
        done = subprocess.run(
            argv, cwd=cwd, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=True
        )
    except FileNotFoundError as error:
        raise KernelError(f"{argv[0]} is not installed: the test needs Debian") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = str(error.stderr or error).strip()
        raise KernelError(
            f"Debian's kernel cannot be fetched ({argv[0]}: {said}); it is needed once: run the test with the"
            f" mirror in reach, or copy {cache()} from a machine where it ran"
        ) from error
    return done.stdout
