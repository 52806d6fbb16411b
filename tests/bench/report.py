"""Results as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
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
            amount(far["frames_per_second"]),
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
        "replayed/s",
        "bytes/session",
    )
    for result in results:
        churn = result["churn"]
        table.add_row(
            result["case"],
            MIRRORED[result["mirrored"]],
            f"{result['connections_live']:,} held"
            if churn
            else f"{result['sessions'] * max(1, result['copies']):,}",
            spread(result),
            f"{result.get('tsc_cycles_per_frame', 0):,.0f}",
            amount(result["frames_per_second"]),
            amount(result["requests_per_second"]),
            f"{result['bytes_per_session']:,}" if "bytes_per_session" in result else "",
        )
    return table


def new_table(title: str, *headings: str) -> Table:
    """A table whose first two columns are words."""
    table = Table(title=title, title_justify="left")
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index == 0 else "right", no_wrap=True)
    return table


def spread(result: Result) -> str:
    """The middle of the measurements, and the range of them."""
    return f"{result['ns_per_frame']:.0f} ({result['least']:.0f} to {result['most']:.0f})"


def control(result: Result) -> Table:
    """What the operator waits for, by the number of workers."""
    table = new_table("until it is done", "", "workers", "p50", "p99", "most")
    for one in result["changes"]:
        times = (f"{three_digits(one[name])} µs" for name in ("p50_us", "p99_us", "most_us"))
        table.add_row("a change is taken up", str(one["workers"]), *times)
    for one in result["starts"]:
        table.add_row(
            "xdpcopy run is ready", str(one["workers"]), f"{one['median']:.2f} s", "", f"{one['max']:.2f} s"
        )
    return table


LAB_ROWS = (
    ("mirrored frames offered /s", "offered_per_second"),
    ("frames received from the mirror /s", "received_per_second"),
    ("frames sent to the target /s", "sent_per_second"),
    ("requests replayed /s", "requests_per_second"),
    ("answers received /s", "answers_per_second"),
    ("share of its CPU that it got", "share_of_cpu"),
    ("CPU seconds per million frames sent", "cpu_seconds_per_million_sent"),
    ("frames sent per CPU second", "sent_per_cpu_second"),
)
LAB_RATIOS = (
    ("engine / this: frames sent /s", "sent_per_second"),
    ("engine / this: frames sent per CPU second", "sent_per_cpu_second"),
)


def lab(result: Result) -> Group:
    """Forwarders and engine side by side, and how they compare; and one worker and two."""
    return Group(receivers(result), workers(result))


def workers(result: Result) -> Table:
    """One worker that serves two queues, and two that serve one each."""
    table = new_table("two queues", "", "one worker", "two workers")
    for words, name in LAB_ROWS:
        table.add_row(words, *(middle(each[name]) for each in result["workers"].values()))
    table.add_section()
    table.add_row(
        "two / one: frames sent per CPU second", "", middle(result["workers_ratio"]["sent_per_cpu_second"])
    )
    return table


def receivers(result: Result) -> Table:
    """The receivers of one queue."""
    kinds = list(result["summary"])
    rounds = len(result["runs"]) // len(kinds)
    table = new_table(
        f"the lab: median (range) of {rounds} runs of {result['seconds_each']:.0f} s each", "", *kinds
    )
    for words, name in LAB_ROWS:
        table.add_row(words, *(middle(result["summary"][kind][name]) for kind in kinds))
    table.add_section()
    for words, name in LAB_RATIOS:
        table.add_row(words, *(middle(result["ratio"].get(kind, {}).get(name)) for kind in kinds))
    return table


def latency(result: Result) -> Table:
    """How long requests were under way, by rate."""
    table = new_table(
        f"from the mirror to the target, µs; all: {amount(result['best'])} frames/s",
        *("receiver", "frames/s", "of all", "p50", "p99", "p99.9", "lost"),
    )
    for row in result["rows"]:
        table.add_row(
            row["kind"],
            amount(row["offered_per_second"]["median"]),
            f"{row['part']:.0%}",
            *(middle(row[name]) for name in ("p50", "p99", "p99.9")),
            str(row["lost"]),
        )
    return table


def overload(result: Result) -> Table:
    """The curve of what is replayed against what is offered."""
    table = new_table(
        f"overload: connections that make eight requests and go; all: {amount(result['best'])} frames/s",
        *("offered", "frames/s", "requests/s", "of most", "complete", "with the onset"),
        *("kept out by XDP", "by the worker", "lost at the ring", "share of its CPU"),
    )
    for row in result["rows"]:
        table.add_row(
            f"{row['factor']:g}",
            *(amount(row["offered_per_second"]["median"]), middle(row["requests_per_second"])),
            *(f"{row['of_most']:.0%}", f"{row['complete']:.2%}", f"{row['complete_with_onset']:.2%}"),
            *(amount(row["shed"]), amount(row["kept_out"]), amount(row["lost_at_sockets"])),
            f"{row['share_of_cpu']['median']:.2f}",
        )
    return table


def middle(values: dict[str, float] | None) -> str:
    """Median and range; nothing for what there is not."""
    if not values or not values["max"]:
        return ""
    size, unit = scale(values["median"])
    median, least, most = (three_digits(values[name] / size) for name in ("median", "min", "max"))
    return f"{median}{unit} ({least} to {most})"


def amount(value: float) -> str:
    """A rate, or a small number."""
    size, unit = scale(value)
    return f"{three_digits(value / size)}{unit}"


def three_digits(value: float) -> str:
    """As exact as it deserves, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def scale(value: float) -> tuple[float, str]:
    """Millions, thousands or ones."""
    if value >= 1e6:
        return 1e6, " M"
    return (1e3, " k") if value >= 1e3 else (1, "")
