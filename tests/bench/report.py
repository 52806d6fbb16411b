"""Results as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

Result = dict[str, Any]

MIRRORED = {"requests": "requests", "client": "client's frames", "both": "both directions"}


def machine(result: Result) -> Table:
    """Where it was measured."""
    table = Table(title="machine", show_header=False)
    for name, value in result.items():
        table.add_row(name.replace("_", " "), str(value))
    return table


def parse(results: Sequence[Result]) -> Table:
    """One line for each kind of frame."""
    table = new_table(
        "parse_frame, ns/frame (checksums verified)",
        "frame",
        "bytes",
        "in L1/L2",
        "in L3",
        "in L3, not verified",
        "frames/s in L3",
    )
    for result in results:
        near, far, unverified = result["near"], result["far"], result["far_unverified"]
        table.add_row(
            result["kind"],
            str(result["frame_bytes"]),
            spread(near),
            spread(far),
            spread(unverified),
            rate(far["frames_per_second"]),
        )
    return table


def line(results: Sequence[Result]) -> Table:
    """One line for each case."""
    table = new_table(
        "the line over memory ports, one worker, for each frame received",
        "case",
        "mirrored",
        "sessions",
        "ns/frame",
        "TSC cycles",
        "frames/s",
        "requests/s",
        "bytes/session",
    )
    for result in results:
        churn = result["case"] == "churn"
        table.add_row(
            result["case"],
            MIRRORED[result["mirrored"]],
            f"{result['connections_live']:,} held" if churn else f"{result['sessions']:,}",
            spread(result),
            f"{result.get('tsc_cycles_per_frame', 0):,.0f}",
            rate(result["frames_per_second"]),
            rate(result["requests_per_second"]),
            f"{result['bytes_per_session']:,}" if "bytes_per_session" in result else "",
        )
    return table


def new_table(title: str, *headings: str) -> Table:
    """A table whose first two columns are words."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index == 0 else "right")
    return table


def spread(result: Result) -> str:
    """The middle of the measurements, and the range of them."""
    return f"{result['ns_per_frame']:.0f} ({result['least']:.0f} to {result['most']:.0f})"


def rate(per_second: float) -> str:
    """Thousands or millions a second."""
    return f"{per_second / 1e6:.2f} M" if per_second >= 1e6 else f"{per_second / 1e3:.1f} k"


def lab(result: Result) -> Table:
    """Forwarder and engine side by side, and how they compare."""
    table = new_table(
        f"the lab: median of {len(result['runs']) // 2} runs each (range), {result['seconds_each']:.0f} s each",
        "",
        "bare forwarder",
        "engine",
        "engine / forwarder",
    )
    forwarder, engine = result["summary"]["forwarder"], result["summary"]["engine"]
    rows = (
        ("mirrored frames offered /s", "offered_per_second", rate),
        ("frames received from the mirror /s", "received_per_second", rate),
        ("frames sent to the target /s", "sent_per_second", rate),
        ("requests replayed /s", "requests_per_second", rate),
        ("answers received /s", "answers_per_second", rate),
        ("CPU seconds per million frames sent", "cpu_seconds_per_million_sent", decimal),
        ("share of its CPU that it got", "share_of_cpu", decimal),
    )
    ratios = {
        "sent_per_second": result["ratio"]["sent_per_second"],
        "cpu_seconds_per_million_sent": {
            "min": 1 / result["ratio"]["sent_per_cpu_second"]["max"],
            "median": 1 / result["ratio"]["sent_per_cpu_second"]["median"],
            "max": 1 / result["ratio"]["sent_per_cpu_second"]["min"],
        },
    }
    for words, name, shown in rows:
        ratio = middle(ratios[name], decimal) if name in ratios else ""
        table.add_row(words, middle(forwarder[name], shown), middle(engine[name], shown), ratio)
    for run in result["overrun"]:
        table.add_section()
        for words, name, shown in rows[:3]:
            cell = shown(run[name])
            cells = (cell, "") if run["kind"] == "forwarder" else ("", cell)
            table.add_row(f"overrun: {words}", *cells, "")
    return table


def middle(values: dict[str, float], shown: Any) -> str:
    """Median and range."""
    return f"{shown(values['median'])} ({shown(values['min'])} to {shown(values['max'])})"


def decimal(value: float) -> str:
    """Two decimals."""
    return f"{value:.2f}"
