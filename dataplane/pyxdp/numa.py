"""Where a network device sits: the CPUs of its NUMA node, as sysfs tells."""

from __future__ import annotations

from pathlib import Path

NET = Path("/sys/class/net")


def near(device: str, devices: Path = NET) -> tuple[int, ...]:
    """The CPUs of the NUMA node of a device; empty if it has none, or does not say.

    For virtio the node is known one step up, at the PCI device that carries it.
    """
    home = (devices / device / "device").resolve()
    for folder in (home, home.parent):
        try:
            return cpu_list((folder / "local_cpulist").read_text())
        except OSError:
            continue
    return ()


def cpu_list(text: str) -> tuple[int, ...]:
    """The CPUs of the kernel's list format, as ``0-3,8``."""
    cpus: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            cpus += range(int(first), int(last or first) + 1)
    return tuple(cpus)
