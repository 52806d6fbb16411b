"""``python -m tests.bench``: measures, prints tables and writes build/bench.json."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

from appliance.errors import MachineError
from tests.bench import control, lab, load, native, parts, plot, report
from tests.bench.native import BenchError

PARTS = ("parse", "line", "control", "lab", "latency", "overload")
IN_LAB = PARTS[3:]
OUTPUT = native.BUILD.parent / "bench.json"
SCHEMA = 1
WIDTH = 150  # of tables that go into a file

Measure = Callable[..., Any]
Draw = Callable[[Any], RenderableType]

MEASURE: dict[str, tuple[Measure, Draw]] = {
    "parse": (parts.parse, report.parse),
    "line": (parts.line, report.line),
    "control": (control.measure, report.control),
    "lab": (lab.measure, report.lab),
    "latency": (load.latency, report.latency),
    "overload": (load.overload, report.overload),
}


def main() -> int:
    """Exit status 0 only if every part that was asked for has a result."""
    arguments = read_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was set up is taken down
    console = Console(stderr=arguments.json)
    if not console.is_terminal:
        console = Console(stderr=arguments.json, width=WIDTH)
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "quick": arguments.quick,
        "machine": machine(),
        "failed": {},
    }
    console.print(report.machine(results["machine"]))
    for name in arguments.only:
        measure, draw = MEASURE[name]
        try:
            with console.status(f"{name} …"):
                results[name] = measure(quick=arguments.quick)
            console.print(draw(results[name]))
        except (BenchError, MachineError, OSError) as error:
            results["failed"][name] = str(error)
            console.print(f"{name}: {error}", style="red", markup=False, highlight=False)
    write(results, console, to_stdout=arguments.json)
    return 1 if results["failed"] else 0


def read_arguments() -> argparse.Namespace:
    """What is asked for; what needs the lab needs root and is left out without it, unless it is named."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about 40 seconds, less exact, no 1 M sessions")
    parser.add_argument("--json", action="store_true", help="print the JSON on stdout, the tables on stderr")
    parser.add_argument(
        "--only", type=part_names, default=None, metavar="PART,…", help=f"of {', '.join(PARTS)}"
    )
    arguments = parser.parse_args()
    if arguments.only is None:
        arguments.only = PARTS
        if os.geteuid():
            arguments.only = tuple(name for name in PARTS if name not in IN_LAB)
            print("not root: what needs the lab is left out; sudo make bench runs it too", file=sys.stderr)
    return arguments


def part_names(text: str) -> tuple[str, ...]:
    """Some of PARTS, separated by commas."""
    wanted = text.split(",")
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in wanted)


def machine() -> dict[str, Any]:
    """What a reader must know to compare numbers."""
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), "?")
    flags = next((line for line in cpuinfo if line.startswith("flags")), "").split()
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in flags,
        "memory": f"{pages / (1 << 30):.0f} GiB",
        "kernel": platform.release(),
        "load": " ".join(f"{value:.2f}" for value in os.getloadavg()),
    }


def write(results: dict[str, Any], console: Console, *, to_stdout: bool) -> None:
    """Keep the results; OUTPUT is what the next run is compared with."""
    text = json.dumps(results, indent=2)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(text + "\n", encoding="utf-8")
    if "line" in results:
        OUTPUT.with_suffix(".svg").write_text(plot.sessions(results["line"]), encoding="utf-8")
    if to_stdout:
        print(text)
    else:
        console.print(f"written to {os.path.relpath(OUTPUT)}", highlight=False)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
