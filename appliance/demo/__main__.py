"""``python -m appliance.demo``: the whole setup on one machine, with a verdict.

A production nginx behind a switch, real clients, the appliance on the switch's mirror port, and a second
nginx as target. Prints a table and one line of JSON; exit status 0 only if the target served exactly what
production served and the ledger closes. KEEP=1 in the environment leaves everything running.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.live
from rich.console import Console
from rich.table import Table

from appliance.demo.accounts import Account, compare
from appliance.demo.live import Live
from appliance.demo.nginx import Nginx, make_workspace
from appliance.demo.process import Replay
from appliance.lab import Lab, LabError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

PREFIX = "xdpcopy"
CLIENTS = 8
TARGET_PORT = 8080
CLIENT_LIMIT_S = 120.0
SETTLE_TIMEOUT_S = 20.0
INTERRUPTED = 130


@dataclass
class Scene:
    """Everything that runs in the demo."""

    lab: Lab
    production: Nginx
    target: Nginx
    replay: Replay

    def start(self, stack: contextlib.ExitStack) -> None:
        """Starts everything; ``stack`` takes it down in reverse order."""
        stack.callback(self.lab.down)
        self.lab.down()
        self.lab.up()
        for part in (self.production, self.target, self.replay):
            stack.callback(part.stop)
            part.start()


@dataclass
class Verdict:
    """The outcome."""

    account: Account
    client: dict[str, Any]
    ledger: dict[str, Any]
    exit_status: int | None
    mirror_lost: int

    @property
    def ok(self) -> bool:
        """Every request was answered, and replayed once, in order and unchanged; the ledger closes."""
        return (
            self.account.equal
            and self.client["answered"] == self.client["requests"] == self.account.production
            and self.exit_status == 0
            and bool(self.ledger.get("closes"))
        )

    def as_json(self) -> str:
        """The outcome as one line of JSON."""
        fields = {"ok": self.ok, **self.account.as_dict(), "mirror_lost": self.mirror_lost}
        fields |= {"exit_status": self.exit_status, "client": self.client, "ledger": self.ledger}
        return json.dumps(fields)


def _scene(options: argparse.Namespace, directory: Path) -> Scene:
    lab = Lab(options.prefix, queues=options.queues, direction=options.direction, clients=CLIENTS)
    transfer = f"80-{lab.target}:{TARGET_PORT}"
    return Scene(
        lab=lab,
        production=Nginx(lab, "production", 80, directory / "production"),
        target=Nginx(lab, "target", TARGET_PORT, directory / "target"),
        replay=Replay(
            lab, directory / "appliance", ("-i", lab.mirror_device, "-o", lab.test_device, "-x", transfer)
        ),
    )


def _talk(scene: Scene, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Runs the client and shows the counters until every session has ended."""
    lab = scene.lab
    argv = [sys.executable, "-m", "appliance.demo.client", "--address", str(lab.production)]
    argv += ["--sources", ",".join(map(str, lab.clients)), "--requests", str(options.requests)]
    argv += ["--pause", str(options.pause), "--limit", str(CLIENT_LIMIT_S)]
    title = f"{options.requests:,} requests to production, replayed to the target"
    client = lab.exec("client", argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        with rich.live.Live(Live(title, scene.replay.counters), console=console, refresh_per_second=4):
            said, errors = client.communicate(timeout=CLIENT_LIMIT_S + SETTLE_TIMEOUT_S)
            scene.replay.come_to_rest(SETTLE_TIMEOUT_S)
    finally:
        client.kill()
    if not said:
        raise LabError(f"the client failed: {errors.strip()}")
    result: dict[str, Any] = json.loads(said)
    return result


def _settle_accounts(scene: Scene, client: dict[str, Any]) -> Verdict:
    """Stops the servers, so that their logs are complete, and compares these."""
    status = scene.replay.stop()
    scene.production.stop()
    scene.target.stop()
    account = compare(scene.production.requests(), scene.target.requests())
    ledger = scene.replay.ledger() if scene.replay.ledger_path.exists() else {}
    lost = sum(device.dropped for device in scene.lab.devices() if device.name in {"span0", "mirror0"})
    lost += sum(port["lost"] for port in ledger.get("ports", ()) if port["role"] == "mirror")
    return Verdict(account, client, ledger, status, lost)


def _table(verdict: Verdict) -> Table:
    table = Table(title="What the target served of what production served", min_width=60)
    table.add_column("heading")
    table.add_column("count", justify="right")
    account = verdict.account
    rows = {
        "requests answered to the client": verdict.client["answered"],
        "requests served by production": account.production,
        "requests served by the target": account.target,
        "connections": account.connections,
        "missing at the target": account.missing,
        "duplicated at the target": account.duplicated,
        "only at the target": account.unexpected,
        "out of order within a connection": account.out_of_order,
        "bodies compared": account.bodies_compared,
        "bodies different": account.bodies_different,
        "answers different": account.answers_different,
        "frames lost before the appliance saw them": verdict.mirror_lost,
    }
    for heading, count in rows.items():
        table.add_row(heading, f"{count:,}")
    table.add_row("the ledger closes", "yes" if verdict.ledger.get("closes") else "no")
    table.add_row("exit status of xdpcopy run", str(verdict.exit_status))
    return table


def _keep(scene: Scene, directory: Path, console: Console) -> None:
    """Restarts what was stopped for the comparison, and prints how to look at it."""
    for part in (scene.production, scene.target, scene.replay):
        part.start()
    lab, prefix = scene.lab, scene.lab.settings.prefix
    command = Path(sys.executable).with_name("xdpcopy")
    console.print(
        f"\nKEEP=1: the lab (prefix {prefix}), both servers and the appliance keep running. Try:\n"
        f"  ip netns exec {prefix}-client curl -sH 'X-Request-Id: mine' http://{lab.production}/64 | wc -c\n"
        f"  tail -f {directory}/target/access.log\n"
        f"  ip netns exec {prefix}-target tcpdump -ni target0 tcp\n"
        f"  {command} counters --stats {scene.replay.stats_path}\n"
        f"  {command} lab status --prefix {prefix}\n"
        f"To remove everything:\n"
        f"  {command} lab down --prefix {prefix} && rm -r {directory}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _demonstrate(options: argparse.Namespace, console: Console, *, keep: bool) -> Verdict:
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        directory = make_workspace()
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        scene = _scene(options, directory)
        scene.start(stack)
        console.print(f"lab, servers and appliance are up after {time.monotonic() - start:.1f} s")
        verdict = _settle_accounts(scene, _talk(scene, options, console))
        if verdict.exit_status:
            console.print(scene.replay.log_path.read_text(), markup=False, highlight=False)
        if keep:
            _keep(scene, directory, console)
            stack.pop_all()
    return verdict


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Turns the first signal into an exception; later ones must not disturb the tear-down."""
    del number, frame
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m appliance.demo", description=__doc__)
    parser.add_argument("--requests", type=int, default=20000, help="how many requests the client sends")
    parser.add_argument("--pause", type=float, default=0.04, help="seconds between a connection's requests")
    parser.add_argument("--queues", type=int, default=1, help="queues of the appliance's ports")
    parser.add_argument("--direction", choices=("both", "client"), default="both", help="what is mirrored")
    parser.add_argument("--prefix", default=PREFIX, help="prefix of the namespaces' names")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the demo; 0 if nothing was lost, duplicated, reordered or changed."""
    options = _options(argv)
    console = Console(stderr=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        verdict = _demonstrate(options, console, keep=os.environ.get("KEEP", "") not in {"", "0"})
    except KeyboardInterrupt:
        console.print("interrupted; everything was removed")
        return INTERRUPTED
    except (LabError, RuntimeError, ValueError) as error:
        console.print(f"demo: {error}", markup=False, highlight=False)
        return 1
    console.print(_table(verdict))
    print(verdict.as_json())
    return 0 if verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
