"""``xdpcopy engine``: the privileged process, which is asked and told through its control socket."""

from __future__ import annotations

import grp
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import structlog

from appliance.control import privileges
from appliance.control.answers import Answers
from appliance.control.live import Live
from appliance.control.observed import (
    GetCounters,
    GetLatency,
    GetLedger,
    GetProtocols,
    GetSession,
    ListSessions,
)
from appliance.control.protocol import (
    Arm,
    CreateTransfer,
    DeleteTransfer,
    GetStatus,
    GetTransfer,
    GetWorkers,
    ListTransfers,
    PauseTransfer,
    ReplaceTransfer,
    ResumeTransfer,
    Stop,
)
from appliance.control.server import Listener
from appliance.control.store import Store
from appliance.engine import Engine
from appliance.errors import ConfigError
from appliance.run import (
    STOP_SIGNALS,
    check_ledger_path,
    conclude,
    held_signals,
    report,
    ticks,
    write_ledger,
)
from appliance.stats import claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.config import Config
    from appliance.control.base import Answer, Request

log = structlog.get_logger()


def serve(config: Config, engine: Callable[[Config], Engine] = Engine) -> None:
    """Until SIGTERM, SIGINT or SIGHUP. Raises ApplianceError or OSError if it cannot start."""
    check_ledger_path(config.ledger)
    store = Store(config.control.state)
    with ExitStack() as stack:
        stack.enter_context(held_signals(STOP_SIGNALS))
        socket = config.control.socket
        stack.enter_context(claim(socket, "listens at", "control.socket in the configuration"))
        listener = Listener(socket, _group(config.control.group))
        privileges.drop()
        running = stack.enter_context(engine(config.model_copy(update={"transfers": ()})))
        live = Live(running, config, store)
        for line in report(running):
            print(line)
        stack.enter_context(listener.serving(handlers(live, Answers(running, live))))
        print("ready", flush=True)
        for _ in ticks():
            running.tick()
            live.tick()
        ledger = running.stop()
    if config.ledger is not None:
        write_ledger(config.ledger, ledger)
    conclude(ledger)


def handlers(live: Live, answers: Answers) -> dict[type[Request[Any]], Callable[[Any], Answer]]:
    """What answers each call."""
    return {
        GetStatus: lambda _: answers.status(),
        GetWorkers: lambda _: answers.workers(),
        GetCounters: lambda _: answers.counters(),
        GetLedger: lambda _: answers.ledger(),
        GetLatency: lambda _: answers.latency(),
        GetProtocols: lambda _: answers.protocols(),
        ListSessions: answers.sessions,
        GetSession: answers.session,
        ListTransfers: lambda _: live.transfers(),
        GetTransfer: lambda request: live.transfer(request.transfer),
        CreateTransfer: live.create,
        ReplaceTransfer: live.replace,
        DeleteTransfer: live.delete,
        PauseTransfer: lambda request: live.pause(request.transfer, request.version, paused=True),
        ResumeTransfer: lambda request: live.pause(request.transfer, request.version, paused=False),
        Stop: lambda _: live.arm(armed=False),
        Arm: lambda _: live.arm(armed=True),
    }


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid if name else os.getegid()
    except KeyError:
        raise ConfigError(
            f"control.group: there is no group '{name}'; getent group shows those there are"
        ) from None
