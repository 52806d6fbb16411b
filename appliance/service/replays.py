"""Replays of captures: each a child process ``xdpcopy replay``, while the engine steps aside.

What is known of a replay is a file of its own, ``ID.json``, beside what the child writes: ``ID.ledger``,
``ID.progress``, ``ID.stats`` and ``ID.log``. A replay that was going on when the engine ended has failed.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from appliance.captures import for_replay
from appliance.contract.base import ErrorKind, refused
from appliance.contract.observed import Ledger
from appliance.contract.replays import ENDED, Replay, ReplayChanged, Replays, ReplayState
from appliance.durable import write_whole
from appliance.service.child import Child
from appliance.service.store import SavedTransfer

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.contract.replays import ReplayOptions, StartReplay
    from appliance.service.live import Live
    from appliance.service.seat import Seat
    from appliance.settings.config import Config

KEPT = 100
CANCEL_TIMEOUT_S = 4.0
ENDINGS = ("json", "yaml", "ledger", "progress", "stats", "stats.lock", "log")


class CaptureReplays:
    """All replays, and the one that goes on. Any thread may ask and change."""

    def __init__(self, config: Config, live: Live, seat: Seat) -> None:
        """Raises OSError."""
        self._config = config
        self._live = live
        self._seat = seat
        self._folder = config.control.state.parent / "replays"
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._known = self._read()
        self._child: Child | None = None

    def all(self) -> Replays:
        """The newest first."""
        with self._lock:
            return Replays(items=tuple(self._now(one) for one in reversed(self._known.values())))

    def get(self, name: str) -> Replay:
        """One of them. Raises ControlError."""
        with self._lock:
            return self._now(self._find(name))

    def ledger(self, name: str) -> Ledger:
        """The account of one that has ended. Raises ControlError."""
        with self._lock:
            self._find(name)
            try:
                made = json.loads(self._path(name, "ledger").read_text())
            except (OSError, ValueError):
                raise refused(
                    ErrorKind.NOT_FOUND, f"replay '{name}' has no ledger; it is written when a replay ends"
                ) from None
        return Ledger(closes=made["closes"], ledger=made)

    def stats(self) -> Path | None:
        """The counters' file of the replay that has the ports."""
        with self._lock:
            return self._path(self._child.replay, "stats") if self._child else None

    def start(self, request: StartReplay) -> ReplayChanged:
        """Checked, written down, and asked for. Raises ControlError."""
        with self._lock:
            known = self._known.get(request.replay or "")
            if known is not None:
                if known.options == request.options:
                    return ReplayChanged(replay=self._now(known), changed=False)
                raise refused(
                    ErrorKind.CONFLICT, f"there is a replay '{known.id}' with other options; give another id"
                )
            self._check_idle()
            files = [for_replay(self._config.captures, one) for one in request.options.captures]
            config = self._configuration(request.options)
            name = request.replay or f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
            self._forget_old()
            made = Replay(
                id=name, state=ReplayState.STARTING, options=request.options, requested_at=time.time()
            )
            paths = {ending: self._path(name, ending) for ending in ENDINGS}
            child = Child(made, files, config, paths, self)
            self._write(made)
            try:
                self._seat.ask(child)
            except Exception:
                self._remove(name)
                raise
            self._child = child
            return ReplayChanged(replay=made, changed=True)

    def pause(self, name: str, *, paused: bool) -> ReplayChanged:
        """The clock of the captures stands still, or goes on. Raises ControlError."""
        with self._lock:
            known, child = self._going(name)
            wanted = ReplayState.PAUSED if paused else ReplayState.RUNNING
            if known.state is wanted:
                return ReplayChanged(replay=self._now(known), changed=False)
            if not child.pause(paused=paused):
                raise refused(
                    ErrorKind.UNAVAILABLE, f"replay '{name}' has not begun yet; ask again in a moment"
                )
            return ReplayChanged(replay=self._now(self.note(name, state=wanted)), changed=True)

    def cancel(self, name: str, reason: str) -> ReplayChanged:
        """Answered when every session has been reset. Raises ControlError."""
        with self._lock:
            known = self._find(name)
            if known.state in ENDED:
                return ReplayChanged(replay=known, changed=False)
            _, child = self._going(name)
        child.cancel(reason)
        if not child.ended.wait(CANCEL_TIMEOUT_S):
            raise refused(ErrorKind.UNAVAILABLE, f"replay '{name}' does not end; see the engine's log")
        return ReplayChanged(replay=self.get(name), changed=True)

    def cancel_any(self, reason: str) -> None:
        """Whichever goes on."""
        with self._lock:
            child = self._child
        if child is not None:
            with suppress(Exception):
                self.cancel(child.replay, reason)

    def delete(self, name: str) -> ReplayChanged:
        """Forgets one that has ended. Raises ControlError."""
        with self._lock:
            known = self._find(name)
            if known.state not in ENDED:
                raise refused(ErrorKind.CONFLICT, f"replay '{name}' goes on; cancel it first")
            self._remove(name)
            return ReplayChanged(replay=known, changed=True)

    def note(self, name: str, **changes: Any) -> Replay:  # noqa: ANN401 - fields of Replay
        """What is known of it from now on, and after a crash."""
        with self._lock:
            changed = self._known[name].model_copy(update=changes)
            self._write(changed)
            if changed.state in ENDED:
                self._child = None
            return changed

    def check_live(self) -> None:
        """The ports are needed: no transfer may replay live traffic. Raises ControlError."""
        if not self._live.saved.armed:
            raise refused(
                ErrorKind.CONFLICT, "nothing is sent since the emergency stop; arm the appliance first"
            )
        running = ", ".join(f"'{one.id}'" for one in self._live.saved.transfers if not one.paused)
        if running:
            raise refused(
                ErrorKind.CONFLICT,
                f"live traffic is replayed on {self._config.test.device} (transfers {running}), and a port"
                " has one owner; pause them first, their settings can be used for captures all the same",
            )

    def _check_idle(self) -> None:
        if self._child is not None:
            raise refused(
                ErrorKind.CONFLICT, f"replay '{self._child.replay}' goes on; wait for its end, or cancel it"
            )
        self.check_live()

    def _configuration(self, options: ReplayOptions) -> Config:
        """That of the child: the engine's, with these transfers, and no target but those allowed here."""
        saved = {one.id: one for one in self._live.saved.transfers}
        unknown = [name for name in options.transfers if name not in saved]
        if unknown:
            raise refused(ErrorKind.NOT_FOUND, f"there is no transfer '{unknown[0]}'; transfers.list has all")
        chosen = [saved[name] for name in options.transfers or saved]
        if options.settings:
            chosen = [
                SavedTransfer(id=f"settings-{index}", version=1, paused=False, settings=one)
                for index, one in enumerate(options.settings)
            ]
        if not chosen:
            raise refused(ErrorKind.INVALID, "there is no transfer; create one, or give settings")
        return self._live.checked(chosen)

    def _going(self, name: str) -> tuple[Replay, Child]:
        known = self._find(name)
        if known.state in ENDED or self._child is None:
            raise refused(ErrorKind.CONFLICT, f"replay '{name}' has ended ({known.state}); start another")
        return known, self._child

    def _now(self, known: Replay) -> Replay:
        if self._child is None or self._child.replay != known.id:
            return known
        return known.model_copy(update={"progress": self._child.progress()})

    def _find(self, name: str) -> Replay:
        found = self._known.get(name)
        if found is None:
            raise refused(ErrorKind.NOT_FOUND, f"there is no replay '{name}'; replays.list has them all")
        return found

    def _path(self, name: str, ending: str) -> Path:
        return self._folder / f"{name}.{ending}"

    def _write(self, made: Replay) -> None:
        write_whole(self._path(made.id, "json"), made.model_dump_json(indent=2))
        self._known[made.id] = made

    def _remove(self, name: str) -> None:
        for ending in ENDINGS:
            self._path(name, ending).unlink(missing_ok=True)
        self._known.pop(name, None)

    def _forget_old(self) -> None:
        for name in list(self._known)[: max(0, len(self._known) - KEPT + 1)]:
            self._remove(name)

    def _read(self) -> dict[str, Replay]:
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(ValidationError):
                found.append(Replay.model_validate_json(path.read_bytes()))
        known: dict[str, Replay] = {}
        for one in sorted(found, key=lambda each: each.requested_at):
            known[one.id] = one
            if one.state not in ENDED:
                reason = "the engine ended while it went on; start it again"
                update = {"state": ReplayState.FAILED, "reason": reason, "ended_at": time.time()}
                known[one.id] = one.model_copy(update=update)
                write_whole(self._path(one.id, "json"), known[one.id].model_dump_json(indent=2))
        return known
