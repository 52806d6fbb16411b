"""The doctor over the control socket. It gets the ports if nothing is replayed live."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from appliance.contract.base import ErrorKind, refused
from appliance.contract.replays import CheckResult, Examination, ExaminationState
from appliance.doctor import Verdict, examine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from appliance.contract.replays import StartExamination
    from appliance.doctor import Finding
    from appliance.service.live import Live
    from appliance.service.seat import Seat
    from appliance.settings.config import Config

log = structlog.get_logger()

LOOK_S = 0.05


class Doctor:
    """The latest examination. Any thread may call."""

    def __init__(
        self, live: Live, seat: Seat, examine: Callable[[Config, float], Iterable[Finding]] = examine
    ) -> None:
        self._live = live
        self._seat = seat
        self._examine = examine
        self._lock = threading.Lock()
        self._now = Examination(state=ExaminationState.NEVER)

    def get(self) -> Examination:
        """The latest examination."""
        with self._lock:
            return self._now

    def start(self, request: StartExamination) -> Examination:
        """Starts one. Raises ControlError if one is running or something else has the ports."""
        with self._lock:
            if self._now.state is ExaminationState.RUNNING:
                raise refused(
                    ErrorKind.CONFLICT, "an examination is running; ask for its result when it is done"
                )
            config, seconds = self._live.config, request.listen_s
            probed = self._live.is_idle() and self._live.saved.armed
            if probed:
                # The engine's counters look alive for a moment longer; the doctor must not ask those.
                config = config.model_copy(update={"stats": config.stats.with_name("none")})
            work = _Work(lambda: self._run(config, seconds))
            if probed:
                self._seat.ask(work)
            elif self._seat.closed:
                raise refused(ErrorKind.CONFLICT, self._seat.closed)
            self._now = Examination(
                state=ExaminationState.RUNNING, probed=probed, listen_s=seconds, started_at=time.time()
            )
            if not probed:
                work.begin()
            return self._now

    def _run(self, config: Config, seconds: float) -> None:
        try:
            found = list(self._examine(config, seconds))
        except Exception as error:
            log.exception("an examination failed")
            self._note(state=ExaminationState.FAILED, reason=str(error) or repr(error))
            return
        healthy = all(finding.verdict is not Verdict.FAULT for finding in found)
        checks = tuple(CheckResult(**asdict(finding)) for finding in found)
        self._note(state=ExaminationState.DONE, healthy=healthy, findings=checks)

    def _note(self, **changes: object) -> None:
        with self._lock:
            self._now = self._now.model_copy(update={**changes, "ended_at": time.time()})


class _Work:
    """A thread, and the job of the seat that waits for it."""

    why = "the doctor is using the ports; ask again in a moment"

    def __init__(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name="doctor", daemon=True)

    def begin(self) -> None:
        """Starts the thread without waiting."""
        self._thread.start()

    def run(self, wait: Callable[[float], bool]) -> bool:
        """Waits for the thread, unless the engine is to stop; see ``seat.Job``."""
        self._thread.start()
        while self._thread.is_alive():
            if not wait(LOOK_S):
                return False
        return True
