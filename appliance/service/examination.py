"""The doctor, asked over the control socket: with the ports for itself where nothing is replayed live."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import structlog

from appliance.contract.base import ErrorKind, refused
from appliance.contract.doctor import Examination, ExaminationState, Verdict
from appliance.doctor import examine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from appliance.contract.doctor import Finding, StartExamination
    from appliance.service.live import Live
    from appliance.service.seat import Seat
    from appliance.settings.config import Config

log = structlog.get_logger()

LOOK_S = 0.05


class Doctor:
    """The newest examination; any thread may ask."""

    def __init__(
        self, live: Live, seat: Seat, examine: Callable[[Config, float], Iterable[Finding]] = examine
    ) -> None:
        """There is none yet."""
        self._live = live
        self._seat = seat
        self._examine = examine
        self._lock = threading.Lock()
        self._now = Examination(state=ExaminationState.NEVER)

    def get(self) -> Examination:
        """The newest."""
        with self._lock:
            return self._now

    def start(self, request: StartExamination) -> Examination:
        """Begins one. Raises ControlError where one goes on, or something else has the ports."""
        with self._lock:
            if self._now.state is ExaminationState.RUNNING:
                raise refused(ErrorKind.CONFLICT, "an examination goes on; read its result when it is done")
            config, seconds = self._live.config, request.listen_s
            probed = self._live.is_idle() and self._live.saved.armed
            if probed:
                # Its counters go on looking alive for a moment, and would be asked in its place.
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
        self._note(state=ExaminationState.DONE, healthy=healthy, findings=tuple(found))

    def _note(self, **changes: object) -> None:
        with self._lock:
            self._now = self._now.model_copy(update={**changes, "ended_at": time.time()})


class _Work:
    """A thread, and a job of the seat that waits for it."""

    why = "the doctor has the ports for an examination; ask again in a moment"

    def __init__(self, work: Callable[[], None]) -> None:
        """Nothing is started yet."""
        self._thread = threading.Thread(target=work, name="doctor", daemon=True)

    def begin(self) -> None:
        """Nobody waits for it."""
        self._thread.start()

    def run(self, wait: Callable[[float], bool]) -> bool:
        """As ``seat.Job``. An engine that is to stop does not wait for the end."""
        self._thread.start()
        while self._thread.is_alive():
            if not wait(LOOK_S):
                return False
        return True
