"""``xdpcopy top``: rates, transfers, workers and reasons, refreshed from the stream of the counters."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from appliance.contract.calls import Status, Transfers, Workers
from appliance.contract.observed import Counters, Latency
from appliance.engine.stats import rates
from appliance.remote import tables
from appliance.remote.asked import Asked, asking, console, read
from appliance.remote.client import Remote, RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from appliance.engine.stats import Distribution

MOST_REASONS = 8
RETRY_S = 1.0
GONE = 1  # RemoteError's status for an api that cannot be reached
DOWN = 6


@asking
def top(
    *,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, metavar="SECONDS", help="Between two looks.")
    ] = 1.0,
    count: Annotated[
        int, typer.Option(min=0, metavar="COUNT", help="End after so many looks; 0: never.")
    ] = 0,
    asked: Asked,
) -> None:
    """Show live what it does, until Ctrl-C. --json: one line for each look."""
    with asked.remote() as remote:
        looks = _looks(remote, interval, count)
        try:
            if asked.as_json:
                for kind, said in looks:
                    print(json.dumps({"event": kind, "data": said}), flush=True)
            else:
                _draw(remote, looks)
        except KeyboardInterrupt:
            return


def _draw(remote: Remote, looks: Iterator[tuple[str, Any]]) -> None:
    screen = console()
    before: Look | None = None
    with Live(console=screen, auto_refresh=False, screen=screen.is_terminal) as live:
        for kind, said in looks:
            now = _look(remote, said) if kind == "counters" else None
            if now is None:
                live.update(Text(str(said.get("detail", said)), "red bold"), refresh=True)
            else:
                live.update(picture(remote.where.api, before or now, now), refresh=True)
            before = now


def _looks(remote: Remote, interval: float, count: int) -> Iterator[tuple[str, Any]]:
    """Events, also behind an api that went and came back. Raises RemoteError if it is not there at first."""
    seen = 0
    while not count or seen < count:
        try:
            for event in remote.events(interval, count - seen if count else 0):
                seen += 1
                yield event
        except RemoteError as error:
            if error.exit_status != GONE or not seen:
                raise
            seen += 1
            yield "gone", {"detail": str(error)}
            time.sleep(RETRY_S)


@dataclass(frozen=True)
class Look:
    """All that one picture shows."""

    counters: Counters
    status: Status
    transfers: Transfers
    workers: Workers
    latency: Latency


def _look(remote: Remote, said: Any) -> Look | None:  # noqa: ANN401 - JSON
    try:
        return Look(
            counters=read(Counters, said),
            status=read(Status, remote.get("appliance")),
            transfers=read(Transfers, remote.get("transfers")),
            workers=read(Workers, remote.get("workers")),
            latency=read(Latency, remote.get("latency")),
        )
    except RemoteError as error:
        if error.exit_status not in {GONE, DOWN}:
            raise
        return None  # it went between two questions; the next event says so


def picture(api: str, before: Look, now: Look) -> RenderableType:
    """What happened between two looks; nothing, where the engine has started anew."""
    if before.status.started_at != now.status.started_at:
        before = now
    seconds = now.counters.at - before.counters.at
    head = Text.assemble(
        tables.clock(now.counters.at),
        f"  {api}  xdpcopy {now.status.version}, up {tables.duration(now.status.uptime_s)}  ",
        tables.armed(on=now.status.armed),
        "" if now.status.healthy else Text("  a worker hangs", "red bold"),
    )
    line = rates(before.counters.totals, now.counters.totals, seconds)
    parts = (_transfers(before, now, seconds), _workers(before, now, seconds), _reasons(before, now, seconds))
    return Group(head, line, *(each for part in parts for each in ("", part)))


def _rate(before: dict[str, int], now: dict[str, int], name: str, seconds: float) -> str:
    return f"{(now[name] - before.get(name, 0)) / max(seconds, 1e-9):,.0f}"


def _transfers(before: Look, now: Look, seconds: float) -> RenderableType:
    """Answer times are p50/p99 of all time."""
    table = tables.numbers(
        *("transfer", "state", "n", "sample", "req./s", "new/s", "live", "target ms", "production ms"),
        words=2,
    )
    for one in now.transfers.items:
        counted = now.counters.transfers.get(one.id)
        if counted is None:
            continue  # made between two questions
        earlier = before.counters.transfers.get(one.id, counted)
        table.add_row(
            one.id,
            tables.state(one.state),
            str(one.settings.multiplier),
            f"{one.settings.sample_percent:g} %",
            *(_rate(earlier, counted, name, seconds) for name in ("turns_sent", "sessions_opened")),
            f"{counted['sessions_live']:,}",
            *(_times(side, one.id) for side in (now.latency.target, now.latency.production)),
        )
    return table


def _times(side: Mapping[str, Distribution], name: str) -> str:
    """p50/p99."""
    found = side.get(name)
    return f"{1e3 * found.p50_s:.1f}/{1e3 * found.p99_s:.1f}" if found is not None and found.count else ""


def _workers(before: Look, now: Look, seconds: float) -> RenderableType:
    table = tables.numbers("worker", "CPU", "busy", "mirrored/s", "sent/s", "answers/s", "live")
    earlier = {each.worker: each for each in before.workers.items}
    for one in now.workers.items:
        counted = now.counters.workers[one.worker]
        then = before.counters.workers[one.worker]
        busy = (one.cpu_s - earlier[one.worker].cpu_s) / max(seconds, 1e-9) if seconds else 0.0
        table.add_row(
            str(one.worker),
            "any" if one.cpu is None else str(one.cpu),
            f"{busy:.0%}",
            *(
                _rate(then, counted, name, seconds)
                for name in ("mirror_frames", "sent_frames", "test_frames")
            ),
            f"{counted['sessions_live']:,}",
        )
    return table


def _reasons(before: Look, now: Look, seconds: float) -> RenderableType:
    """Frames not used and sessions ended, by reason: those of this moment first, then those of all time."""
    table = tables.numbers("reason", "/s", "in all")
    then, counted = before.counters.totals, now.counters.totals
    found = [name for name in counted if name.startswith(("drop_", "end_")) and counted[name]]
    found.sort(key=lambda name: (then[name] - counted[name], -counted[name], name))
    for name in found[:MOST_REASONS]:
        table.add_row(name, _rate(then, counted, name, seconds), f"{counted[name]:,}")
    return table
