"""``xdpcopy engine``: the privileged process behind the control socket."""

from __future__ import annotations

import grp
import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import structlog

from appliance.contract.appliance import Arm, GetStatus, GetWorkers, Stop
from appliance.contract.doctor import GetExamination, StartExamination
from appliance.contract.observed import (
    GetCounters,
    GetLatency,
    GetLedger,
    GetProtocols,
    GetSession,
    ListSessions,
)
from appliance.contract.replays import (
    CancelReplay,
    DeleteReplay,
    GetReplay,
    GetReplayLedger,
    ListReplays,
    PauseReplay,
    ResumeReplay,
    StartReplay,
)
from appliance.contract.transfers import (
    CreateTransfer,
    DeleteTransfer,
    GetTransfer,
    ListTransfers,
    PauseTransfer,
    ReplaceTransfer,
    ResumeTransfer,
)
from appliance.engine.engine import Engine
from appliance.engine.offline import PAUSE
from appliance.engine.report import check_ledger_path, conclude, report, write_json
from appliance.engine.stats import claim
from appliance.errors import ConfigError
from appliance.service import privileges
from appliance.service.answers import Answers
from appliance.service.examination import Doctor
from appliance.service.live import Live
from appliance.service.replays import CaptureReplays
from appliance.service.seat import WAKE, Seat
from appliance.service.server import Listener
from appliance.service.store import Store
from appliance.signals import STOP_SIGNALS, held_signals, ticks

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.contract.base import Answer, Request
    from appliance.service.seat import Job
    from appliance.settings.config import Config

    Handler = Callable[[Any], Answer]
    Handlers = dict[type[Request[Any]], Handler]

log = structlog.get_logger()

HELD = STOP_SIGNALS | {WAKE, PAUSE}  # a child that replays captures inherits the mask


def serve(config: Config, engine: Callable[[Config], Engine] = Engine) -> None:
    """Runs until SIGTERM, SIGINT or SIGHUP. Raises ApplianceError or OSError if it cannot start."""
    check_ledger_path(config.ledger)
    store = Store(config.control.state)
    with ExitStack() as stack:
        stack.enter_context(held_signals(HELD))
        socket = config.control.socket
        stack.enter_context(claim(socket, "listens at", "control.socket in the configuration"))
        group = _group(config.control.group)
        listener = Listener(socket, group)
        _join(group)
        privileges.drop()
        ledger = _Service(config, store, listener, stack).run(engine)
    if config.ledger is not None:
        write_json(config.ledger, ledger)
    conclude(ledger)


class _Service:
    """Opens and closes the engine, serves requests, and runs the jobs that need the ports in between."""

    def __init__(self, config: Config, store: Store, listener: Listener, stack: ExitStack) -> None:
        self._config = config
        self._store = store
        self._listener = listener
        self._stack = stack
        self._seat = Seat()
        self._live: Live | None = None
        self._answers: Answers

    def run(self, engine: Callable[[Config], Engine]) -> dict[str, Any]:
        """Returns the ledger of the last engine."""
        while True:
            with engine(self._config.model_copy(update={"transfers": ()})) as running:
                live = self._begin(running)
                self._seat.open()
                job = self._tend(running)
                self._seat.close()
                live.leave()
                ledger = running.stop()
            if job is None or not job.run(_wait):
                return ledger

    def _tend(self, running: Engine) -> Job | None:
        """Returns the job that needs the ports, or None when the engine is to stop."""
        for _ in ticks(WAKE):
            if self._seat.job is not None:
                return self._seat.job
            running.tick()
        return None

    def _begin(self, running: Engine) -> Live:
        """The first engine starts the control socket; later ones take its place behind it."""
        if self._live is not None:
            self._live.take(running)
            self._answers.take(running)
            return self._live
        self._live = Live(running, self._config, self._store)
        self._answers = Answers(running, self._live)
        for line in report(running):
            print(line)
        replays = CaptureReplays(self._config, self._live, self._seat)
        doctor = Doctor(self._live, self._seat)
        self._seat.open()
        answering = handlers(self._seat, self._live, self._answers, replays, doctor)
        self._stack.enter_context(self._listener.serving(answering))
        print("ready", flush=True)
        return self._live


def _wait(seconds: float) -> bool:
    """Sleeps. False: the engine is to stop."""
    return signal.sigtimedwait(STOP_SIGNALS, seconds) is None


def handlers(seat: Seat, live: Live, answers: Answers, replays: CaptureReplays, doctor: Doctor) -> Handlers:
    """The handler of each call."""
    asking: Handlers = {
        GetStatus: lambda _: answers.status(),
        GetWorkers: lambda _: answers.workers(),
        GetCounters: lambda _: answers.counters(),
        GetLedger: lambda _: answers.ledger(),
        GetLatency: lambda _: answers.latency(),
        GetProtocols: lambda _: answers.protocols(),
        ListSessions: answers.sessions,
        GetSession: answers.session,
        CreateTransfer: live.create,
        ReplaceTransfer: live.replace,
        DeleteTransfer: live.delete,
        PauseTransfer: lambda request: live.pause(request.transfer, request.version, paused=True),
        ResumeTransfer: lambda request: live.pause(request.transfer, request.version, paused=False),
    }
    return {
        **{kind: _holding(seat, handler) for kind, handler in asking.items()},
        **_aside(seat, asking, answers, replays),
        ListTransfers: lambda _: live.transfers(),
        GetTransfer: lambda request: live.transfer(request.transfer),
        Stop: lambda _: _stop(live, replays),
        Arm: lambda _: live.arm(armed=True),
        StartReplay: replays.start,
        ListReplays: lambda _: replays.all(),
        GetReplay: lambda request: replays.get(request.replay),
        GetReplayLedger: lambda request: replays.ledger(request.replay),
        PauseReplay: lambda request: replays.pause(request.replay, paused=True),
        ResumeReplay: lambda request: replays.pause(request.replay, paused=False),
        CancelReplay: lambda request: replays.cancel(request.replay, "it was asked for"),
        DeleteReplay: lambda request: replays.delete(request.replay),
        StartExamination: doctor.start,
        GetExamination: lambda _: doctor.get(),
    }


def _holding(seat: Seat, handler: Handler) -> Handler:
    """Keeps the engine open while the handler runs."""

    def held(request: Any) -> Answer:  # noqa: ANN401 - any request
        with seat.held():
            return handler(request)

    return held


def _aside(seat: Seat, asking: Handlers, answers: Answers, replays: CaptureReplays) -> Handlers:
    """Calls that have an answer while the engine is closed, too."""

    def status(request: GetStatus) -> Answer:
        why = seat.closed
        return answers.status_aside(why) if why else _holding(seat, asking[GetStatus])(request)

    def counters(request: GetCounters) -> Answer:
        path = replays.stats()
        return answers.counters_of(path) if path else _holding(seat, asking[GetCounters])(request)

    return {GetStatus: status, GetCounters: counters}


def _stop(live: Live, replays: CaptureReplays) -> Answer:
    """The emergency stop, whatever has the ports."""
    replays.cancel_any("the emergency stop")
    return live.arm(armed=False)


def _join(group: int) -> None:
    """The group can read what was uploaded to the api. Under systemd the process is in it already."""
    if group not in os.getgroups() and os.geteuid() == 0:
        os.setgroups(sorted({*os.getgroups(), group}))


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid if name else os.getegid()
    except KeyError:
        raise ConfigError(f"control.group: there is no group '{name}'; getent group lists them") from None
