"""The service's transfers: each change is checked, written down and applied before it is answered."""

from __future__ import annotations

import threading
import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, TypedDict

from appliance.contract.appliance import Emergency
from appliance.contract.base import ErrorKind, refused
from appliance.contract.transfers import Applied, Transfers, TransferState, TransferStatus
from appliance.engine.forecast import forecast
from appliance.engine.slots import Wanted
from appliance.engine.transfers import targets_of
from appliance.errors import MachineError, NeighbourError, SlotError
from appliance.service.checks import checked
from appliance.service.store import Saved, SavedTransfer
from dataplane import binding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.contract.transfers import CreateTransfer, DeleteTransfer, ReplaceTransfer
    from appliance.engine.engine import Engine
    from appliance.service.store import Store
    from appliance.settings.config import Config
    from appliance.settings.transfer import Transfer

FIRST_LOOK_S = 1.0
ENDS = ("end_paused", "end_transfer_removed", "end_stopped")


class Outcome(TypedDict):
    """What Applied and Emergency have in common."""

    sessions_reset: int
    unconfirmed: int
    took_ms: float


class Live:
    """Ids, versions and what is saved; the engine's ``Transfers`` does the rest. Any thread may call.

    Changes come one at a time. Nobody waits for a next hop with the lock held, so the emergency stop never
    waits for the network.
    """

    def __init__(self, engine: Engine, base: Config, store: Store) -> None:
        """``base`` is the configuration; its transfers count if the store is empty. Raises ApplianceError."""
        self._engine: Engine | None = engine
        self._base = base
        self._store = store
        self._change = threading.RLock()
        self.saved, self.config = self._first()
        self.take(engine)

    def leave(self) -> None:
        """The engine is about to close; only a stop or arming is possible until ``take``."""
        with self._change:
            self._engine = None

    def take(self, engine: Engine) -> None:
        """Applies the transfers to an engine that has just opened. Raises ApplianceError.

        Next hops have FIRST_LOOK_S to answer; a transfer whose next hop does not waits for it.
        """
        engine.transfers.hops.wait(targets_of(_wanted(self.saved)), FIRST_LOOK_S)
        with self._change:
            self._engine, self._transfers = engine, engine.transfers
            self._force(self.saved, self.config)

    def is_idle(self) -> bool:
        """Whether all transfers are paused."""
        with self._change:
            return all(one.paused for one in self.saved.transfers)

    def checked(self, transfers: Iterable[SavedTransfer]) -> Config:
        """The configuration with these transfers in place of its own, and with the targets allowed here.

        Raises ControlError.
        """
        config = checked(self._base, tuple(transfers))
        allowed = config.safety.allowed_targets
        if allowed is None:
            allowed = tuple(ip_network(one.target.address) for one in self._base.transfers)
        safety = config.safety.model_copy(update={"allowed_targets": allowed})
        return config.model_copy(update={"safety": safety})

    def transfers(self) -> Transfers:
        """All transfers."""
        with self._change:
            items = tuple(self._status(one) for one in self.saved.transfers)
            return Transfers(version=self.saved.version, items=items)

    def transfer(self, name: str) -> TransferStatus:
        """One transfer. Raises ControlError."""
        with self._change:
            return self._status(self._find(name))

    def slots(self) -> dict[str, int]:
        """The slot of each transfer."""
        with self._change:
            return {one.name: self._transfers.slot_of(one) for one in _wanted(self.saved)}

    def create(self, request: CreateTransfer) -> Applied:
        """Adds a transfer. Raises ControlError."""
        if all(one.id != request.transfer for one in self.saved.transfers):
            self._must_resolve(request.settings)
        with self._change:
            known = next((one for one in self.saved.transfers if one.id == request.transfer), None)
            if known is not None:
                if known.settings == request.settings:
                    return self._unchanged(known)
                raise refused(
                    ErrorKind.CONFLICT,
                    f"there is a transfer '{known.id}' with other settings; change that one, or give"
                    " another id",
                )
            named, name = self._name(request.transfer)
            made = SavedTransfer(id=name, version=1, paused=request.paused, settings=request.settings)
            done = self._commit([*self.saved.transfers, made], named=named)
            return Applied(transfer=self._status(made), changed=True, **done)

    def replace(self, request: ReplaceTransfer) -> Applied:
        """Changes a transfer's settings. Raises ControlError."""
        self._find(request.transfer, request.version)
        self._must_resolve(request.settings)
        with self._change:
            known = self._find(request.transfer, request.version)
            if known.settings == request.settings:
                return self._unchanged(known)
            return self._with(known, settings=request.settings)

    def pause(self, name: str, version: int | None, *, paused: bool) -> Applied:
        """Pauses or resumes a transfer. Raises ControlError."""
        with self._change:
            known = self._find(name, version)
            return self._unchanged(known) if known.paused == paused else self._with(known, paused=paused)

    def delete(self, request: DeleteTransfer) -> Applied:
        """Removes a transfer. Raises ControlError."""
        with self._change:
            known = self._find(request.transfer, request.version)
            last = self._status(known)
            done = self._commit([one for one in self.saved.transfers if one is not known])
            return Applied(transfer=last, changed=True, **done)

    def arm(self, *, armed: bool) -> Emergency:
        """A stop is applied before it is written down, arming after."""
        with self._change:
            return self._arm(armed=armed)

    def _arm(self, *, armed: bool) -> Emergency:
        started, before = time.monotonic(), self._reset()
        after = self.saved.model_copy(update={"armed": armed, "version": self.saved.version + 1})
        if armed:
            self._store.write(after)
        self._force(after, self.config)
        self.saved = after
        if not armed:
            self._store.write(after)
        return Emergency(armed=armed, **self._outcome(before, started))

    @property
    def _open(self) -> Engine:
        """Handlers that need it keep it open (``Seat.held``)."""
        if self._engine is None:
            raise MachineError("the engine has stepped aside; ask again in a moment")
        return self._engine

    def _first(self) -> tuple[Saved, Config]:
        saved = self._store.read()
        if saved is not None:
            return saved, checked(self._base, saved.transfers)
        saved = Saved(
            version=1,
            named=len(self._base.transfers),
            transfers=tuple(
                SavedTransfer(id=f"t{number}", version=1, paused=False, settings=one)
                for number, one in enumerate(self._base.transfers, 1)
            ),
        )
        self._store.write(saved)
        return saved, checked(self._base, saved.transfers)

    def _name(self, wanted: str | None) -> tuple[int, str]:
        """How many ids have been generated, and the new transfer's id."""
        named, taken = self.saved.named, {one.id for one in self.saved.transfers}
        if wanted is not None:
            return named, wanted
        while f"t{named + 1}" in taken:
            named += 1
        return named + 1, f"t{named + 1}"

    def _find(self, name: str, version: int | None = None) -> SavedTransfer:
        known = next((one for one in self.saved.transfers if one.id == name), None)
        if known is None:
            raise refused(ErrorKind.NOT_FOUND, f"there is no transfer '{name}'; transfers.list has them all")
        if version is not None and version != known.version:
            raise refused(
                ErrorKind.CONFLICT,
                f"transfer '{name}' has version {known.version} now, not {version}; read it again",
            )
        return known

    def _with(self, known: SavedTransfer, **changes: object) -> Applied:
        changed = known.model_copy(update={"version": known.version + 1, **changes})
        transfers = [changed if one is known else one for one in self.saved.transfers]
        done = self._commit(transfers)
        return Applied(transfer=self._status(changed), changed=True, **done)

    def _commit(self, transfers: Iterable[SavedTransfer], *, named: int | None = None) -> Outcome:
        """Checked, written, applied: what that came to.

        Raises ControlError; then everything is as before.
        """
        before, all_of_them = self.saved, tuple(transfers)
        config = checked(self._base, all_of_them)
        changes = {"version": before.version + 1, "transfers": all_of_them, "named": named or before.named}
        after = before.model_copy(update=changes)
        try:
            self._transfers.check(config, _wanted(after))
        except SlotError as error:
            raise refused(ErrorKind.CONFLICT, str(error)) from error
        started, reset = time.monotonic(), self._reset()
        self._store.write(after)
        try:
            self._force(after, config)
        except (MachineError, binding.DataplaneError) as error:
            self._store.write(before)
            self._force(before, self.config)
            raise refused(ErrorKind.UNAVAILABLE, str(error)) from error
        self.saved, self.config = after, config
        return self._outcome(reset, started)

    def _force(self, saved: Saved, config: Config) -> None:
        """Applied when this returns. While no engine is open there is nothing to do: ``take`` applies all."""
        if self._engine is not None:
            self._transfers.apply(config, _wanted(saved))

    def _must_resolve(self, settings: Transfer) -> None:
        """The target is allowed and its next hop answers. Raises ControlError."""
        checked(self._base, [SavedTransfer(id="new", version=1, paused=False, settings=settings)])
        try:
            self._open.transfers.hops.resolve([settings.target.address])
        except NeighbourError as error:
            raise refused(ErrorKind.UNAVAILABLE, str(error)) from error

    def _reset(self) -> int:
        if self._engine is None:
            return 0
        counters = self._engine.counters()
        return sum(counters[name] for name in ENDS)

    def _outcome(self, before: int, started: float) -> Outcome:
        """Once targets have let go. ``before``: sessions that had been reset before the change."""
        reset = self._reset() - before
        unconfirmed = self._transfers.confirm() if self._engine is not None and reset else 0
        took = 1e3 * (time.monotonic() - started)
        return Outcome(sessions_reset=reset, unconfirmed=unconfirmed, took_ms=took)

    def _unchanged(self, known: SavedTransfer) -> Applied:
        nothing = Outcome(sessions_reset=0, unconfirmed=0, took_ms=0.0)
        return Applied(transfer=self._status(known), changed=False, **nothing)

    def _status(self, one: SavedTransfer) -> TransferStatus:
        hop = self._transfers.hops.known.get(one.settings.target.address)
        sentences = {each.transfer: each.sentence for each in forecast(self.config)}
        return TransferStatus(
            id=one.id,
            slot=self._transfers.slot_of(_one(one, self.saved)),
            version=one.version,
            state=self._state(one, known=hop is not None),
            paused=one.paused,
            settings=one.settings,
            next_hop=hop.mac if hop else "",
            forecast=sentences[one.settings],
        )

    def _state(self, one: SavedTransfer, *, known: bool) -> TransferState:
        if not self.saved.armed:
            return TransferState.STOPPED
        if one.paused:
            return TransferState.PAUSED
        return TransferState.RUNNING if known else TransferState.UNREACHABLE


def _wanted(saved: Saved) -> tuple[Wanted, ...]:
    """The transfers for the engine."""
    return tuple(_one(one, saved) for one in saved.transfers)


def _one(one: SavedTransfer, saved: Saved) -> Wanted:
    state = binding.TransferState.PAUSED if one.paused else binding.TransferState.RUNNING
    return Wanted(one.id, one.settings, state if saved.armed else binding.TransferState.STOPPED)
