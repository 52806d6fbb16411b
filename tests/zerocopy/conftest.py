"""The guest for the tests of this folder: skipped, with the reason, where it cannot run.

``make test-zerocopy`` sets XDPCOPY_ZEROCOPY=required: then it is a failure not to be able to.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import TOOLS, _clean, make_bed, pytest_runtest_protocol
from tests.zerocopy import guest
from tests.zerocopy.kernel import Kernel, KernelError, kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.bed import Bed
    from tests.zerocopy.guest import Guest

__all__ = ["_clean", "make_bed", "pytest_runtest_protocol"]  # fixtures, and their lock

NEEDED = (*TOOLS, "qemu-system-x86_64", "cpio", "busybox", "dpkg-deb")


def _lacks() -> str:
    """Why it cannot run here, and what to do; empty: it can."""
    absent = [tool for tool in NEEDED if shutil.which(tool) is None]
    if os.geteuid():
        return "needs root: sudo make test-zerocopy"
    if absent:
        return f"not installed: {', '.join(absent)}; sudo make build installs all of docker/packages.txt"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun: modprobe tun, or start the container with --device /dev/net/tun"
    return ""


def _cannot(reason: str) -> None:
    if os.environ.get("XDPCOPY_ZEROCOPY") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cloud_kernel() -> Kernel:
    """Debian's kernel for virtual machines."""
    if reason := _lacks():
        _cannot(reason)
    try:
        return kernel("cloud-amd64", guest.MODULES)
    except KernelError as error:
        _cannot(str(error))
        raise


@pytest.fixture
def make_guest(cloud_kernel: Kernel, tmp_path: Path) -> Iterator[Callable[..., Guest]]:
    """Make a guest for a bed, with so many queues for each of its two devices; both are gone afterwards."""
    made: list[Guest] = []

    def make(bed: Bed, queues: int, *, rss: bool = False) -> Guest:
        made.append(guest.Guest(bed.lab, cloud_kernel, tmp_path, queues, rss=rss))
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.close()
            shutil.rmtree(tmp_path)  # an image is 90 MB, and pytest keeps folders
