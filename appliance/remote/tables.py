"""The api's answers as tables."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from appliance.contract.transfers import TransferState

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from appliance.contract.appliance import Emergency, Status
    from appliance.contract.observed import Distribution, Latency, Ledger, Sessions, SessionStatus
    from appliance.contract.transfers import Applied, Transfers, TransferStatus

MANY = 8  # columns from which they are set closer, to fit 80 characters
STYLES = {
    TransferState.RUNNING: "green",
    TransferState.PAUSED: "yellow",
    TransferState.UNREACHABLE: "red",
    TransferState.STOPPED: "red bold",
}


def numbers(*headings: str, words: int = 1) -> Table:
    """A table of numbers; the first ``words`` columns are text."""
    table = Table(box=None, pad_edge=False, collapse_padding=len(headings) > MANY)
    for at, heading in enumerate(headings):
        number = at >= words
        justify: JustifyMethod = "right" if number else "left"
        least = None if number else len(heading)
        table.add_column(heading, justify=justify, no_wrap=number, overflow="fold", min_width=least)
    return table


def pairs(**values: object) -> Table:
    """Names and values, as in the api."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in values.items():
        table.add_row(name, plain(value if isinstance(value, str) else json.dumps(value)))
    return table


def plain(value: object) -> Text:
    """As text without control characters: a name must not control the terminal."""
    return Text("".join(each if each.isprintable() else "?" for each in str(value)))


def duration(seconds: float) -> str:
    """3 d 04:05:06."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    return f"{f'{days} d ' if days else ''}{hour:02}:{minute:02}:{second:02}"


def armed(*, on: bool) -> Text:
    """Armed, or stopped by the emergency stop."""
    return Text("armed", "green") if on else Text("stopped: nothing is sent; xdpcopy arm resumes", "red bold")


def state(of: TransferState) -> Text:
    """A transfer's state, in its colour."""
    return Text(of.value, STYLES[of])


def status(found: Status) -> RenderableType:
    """The appliance and its ports."""
    ports = Table("port", "device", "driver", "XDP", "MTU", "queues", "lost", box=None, pad_edge=False)
    for port in found.ports:
        modes = ", ".join(sorted({queue.mode for queue in port.queues}))
        ports.add_row(
            port.role,
            port.device,
            port.driver,
            port.xdp,
            str(port.mtu),
            f"{len(port.queues)} ({modes})",
            f"{sum(queue.lost for queue in port.queues):,}",
        )
    health = Text("all workers run", "green") if found.healthy else Text("a worker hangs", "red bold")
    return Group(
        f"xdpcopy {found.version}, process {found.pid}, up {duration(found.uptime_s)},"
        f" {found.workers} workers, {found.transfers} transfers",
        armed(on=found.armed),
        health,
        *(Text(f"warning: {each}", "yellow") for each in found.warnings),
        "",
        ports,
    )


def transfers(found: Transfers) -> Table:
    """One line per transfer."""
    table = numbers(
        *("id", "name", "state", "source", "target", "protocol", "n", "sample", "cap/s", "version"), words=6
    )
    for one in found.items:
        chosen = one.settings
        table.add_row(
            one.id,
            plain(chosen.name),
            state(one.state),
            str(chosen.source),
            str(chosen.target),
            chosen.protocol,
            str(chosen.multiplier),
            f"{chosen.sample_percent:g} %",
            f"{chosen.sessions_per_second:,}" if chosen.sessions_per_second else "",
            str(one.version),
        )
    return table


def transfer(found: TransferStatus) -> RenderableType:
    """One transfer with all its settings."""
    settings = found.settings.model_dump(mode="json")
    settings["clients"] = ", ".join(settings["clients"])
    about = {"next_hop": found.next_hop, "forecast": found.forecast, "version": found.version}
    return Group(
        Text.assemble(found.id, ": ", state(found.state)),
        pairs(**settings, **about),
    )


def applied(done: Applied) -> RenderableType:
    """The outcome of a change."""
    what = (
        f"in force on every worker after {done.took_ms:.1f} ms, {reset(done)}"
        if done.changed
        else "nothing had to change"
    )
    return Text.assemble(
        done.transfer.id, ": ", state(done.transfer.state), f", version {done.transfer.version}; {what}"
    )


def emergency(done: Emergency) -> RenderableType:
    """The outcome of a stop, or of arming."""
    what = f"; {reset(done)} in {done.took_ms:.1f} ms"
    return Text.assemble(armed(on=done.armed), "" if done.armed else what)


def reset(done: Applied | Emergency) -> str:
    """The sessions that an order has ended."""
    doubt = f" ({done.unconfirmed:,} not confirmed)" if done.unconfirmed else ""
    return f"{done.sessions_reset:,} sessions reset{doubt}"


def sessions(found: Sessions) -> RenderableType:
    """One line per session."""
    headings = ("id", "transfer", "state", "waits for", "client", "forged", "target", "age", "idle", "turns")
    table = numbers(*headings, words=7)
    for one in found.items:
        names = (one.id, one.transfer, one.state, one.waits, one.client, one.forged, one.target)
        table.add_row(*names, f"{one.age_s:.1f} s", f"{one.idle_s:.1f} s", f"{one.turns:,}")
    more = "there are more; raise --limit to see them" if found.truncated else f"{len(found.items)} sessions"
    return Group(table, more)


def session(found: SessionStatus) -> Table:
    """One session."""
    return pairs(**found.model_dump(mode="json"))


def ledger(found: Ledger) -> RenderableType:
    """The equations, and every drop and end with a count."""
    account = found.ledger
    lines = numbers("equation", "left", "right", "", words=1)
    for name, one in account["equations"].items():
        verdict = Text("closes", "green") if one["closes"] else Text("in flight, or open", "yellow")
        lines.add_row(name, f"{one['left']:,}", f"{one['right']:,}", verdict)
    reasons = numbers("dropped or ended, and why", "count")
    for heading, counted in (
        ("mirrored frame dropped", account["drops"]["mirror"]),
        ("target's frame dropped", account["drops"]["test"]),
        ("session", account["ends"]),
    ):
        for name, count in counted.items():
            if count:
                reasons.add_row(f"{heading}: {name}", f"{count:,}")
    closes = Text("closes", "green") if found.closes else Text("does not close at the moment", "yellow")
    return Group(lines, "", reasons, "", closes)


def latency(found: Latency) -> Table:
    """Milliseconds from a request to the first byte of its answer, of target and production."""
    table = numbers("transfer", "of", "answers", "p50", "p90", "p99", "p99.9", "max ms", words=2)
    for name in found.target:
        for side, times in (("target", found.target[name]), ("production", found.production.get(name))):
            if times is not None:
                table.add_row(name, side, f"{times.count:,}", *milliseconds(times))
    return table


def milliseconds(times: Distribution) -> tuple[str, ...]:
    """The percentiles and the maximum."""
    found = (times.p50_s, times.p90_s, times.p99_s, times.p999_s, times.max_s)
    return tuple(f"{1e3 * each:.2f}" for each in found)


def clock(at: float) -> str:
    """The time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))
