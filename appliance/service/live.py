"""The transfers of a running engine: each change is checked, written down, in force, and then answered."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from ipaddress import ip_network
from typing import TYPE_CHECKING, TypedDict

import structlog

from appliance.contract.appliance import Emergency
from appliance.contract.base import ErrorKind, refused
from appliance.contract.transfers import Applied, Transfers, TransferState, TransferStatus
from appliance.engine.forecast import forecast
from appliance.errors import MachineError, NeighbourError
from appliance.service import slots
from appliance.service.checks import checked
from appliance.service.store import Saved, SavedTransfer
from dataplane import binding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from appliance.contract.transfers import CreateTransfer, DeleteTransfer, ReplaceTransfer
    from appliance.engine.engine import Engine
    from appliance.service.slots import Slot
    from appliance.service.store import Store
    from appliance.settings.config import Config
    from appliance.settings.endpoint import Address
    from appliance.settings.transfer import Transfer

log = structlog.get_logger()

FIRST_LOOK_S = 1.0
ENDS = ("end_paused", "end_transfer_removed", "end_stopped")


class Outcome(TypedDict):
    """What Applied and Emergency have in common."""

    sessions_reset: int
    unconfirmed: int
    took_ms: float


class Live:
    """The transfers of an engine that was started without any; any thread may ask and change.

    Changes come one at a time (``_change``). Whoever waits for a next hop holds another lock (``_way``), so
    that the emergency stop never waits for a network.
    """

    def __init__(self, engine: Engine, base: Config, store: Store) -> None:
        """``base`` is the configuration; its transfers count if the store is empty. Raises ApplianceError."""
        self._engine: Engine | None = engine
        self._base = base
        self._store = store
        self._slots: tuple[Slot, ...] = ()
        self._macs: dict[Address, str] = {}
        self._change = threading.RLock()
        self._way = threading.Lock()
        self.saved, self.config = self._first()
        self._macs = self._look_up_first(engine)
        self._force(self.saved, self.config)

    def leave(self) -> None:
        """The engine is about to close."""
        with self._change:
            self._engine = None

    def take(self, engine: Engine) -> None:
        """Another engine is open, without transfers: it has these. Raises ApplianceError."""
        macs = self._look_up_first(engine)
        with self._change:
            self._engine, self._slots, self._macs = engine, (), macs
            self._force(self.saved, self.config)

    def is_idle(self) -> bool:
        """No transfer replays anything."""
        with self._change:
            return all(one.paused for one in self.saved.transfers)

    def checked(self, transfers: Iterable[SavedTransfer]) -> Config:
        """The configuration with these transfers in place of its own, and the targets that are allowed here.

        Raises ControlError.
        """
        config = checked(self._base, tuple(transfers))
        allowed = config.safety.allowed_targets
        if allowed is None:
            allowed = tuple(ip_network(one.target.address) for one in self._base.transfers)
        safety = config.safety.model_copy(update={"allowed_targets": allowed})
        return config.model_copy(update={"safety": safety})

    def transfers(self) -> Transfers:
        """All of them."""
        with self._change:
            items = tuple(self._status(one) for one in self.saved.transfers)
            return Transfers(version=self.saved.version, items=items)

    def transfer(self, name: str) -> TransferStatus:
        """One of them. Raises ControlError."""
        with self._change:
            return self._status(self._find(name))

    def places(self) -> dict[str, int]:
        """The place of each transfer in the dataplane and in the stats file."""
        with self._change:
            return {one.id: slots.slot_of(self._slots, one) for one in self.saved.transfers}

    def create(self, request: CreateTransfer) -> Applied:
        """A transfer more."""
        if all(one.id != request.transfer for one in self.saved.transfers):
            self._must_resolve(request.settings)
        with self._change:
            return self._create(request)

    def _create(self, request: CreateTransfer) -> Applied:
        known = next((one for one in self.saved.transfers if one.id == request.transfer), None)
        if known is not None:
            if known.settings == request.settings:
                return self._unchanged(known)
            raise refused(
                ErrorKind.CONFLICT,
                f"there is a transfer '{known.id}' with other settings; change that one, or give another id",
            )
        named, name = self._name(request.transfer)
        made = SavedTransfer(id=name, version=1, paused=request.paused, settings=request.settings)
        done = self._commit([*self.saved.transfers, made], named=named)
        return Applied(transfer=self._status(made), changed=True, **done)

    def replace(self, request: ReplaceTransfer) -> Applied:
        """Other settings."""
        self._find(request.transfer, request.version)
        self._must_resolve(request.settings)
        with self._change:
            known = self._find(request.transfer, request.version)
            if known.settings == request.settings:
                return self._unchanged(known)
            return self._with(known, settings=request.settings)

    def pause(self, name: str, version: int | None, *, paused: bool) -> Applied:
        """Paused, or not."""
        with self._change:
            known = self._find(name, version)
            return self._unchanged(known) if known.paused == paused else self._with(known, paused=paused)

    def delete(self, request: DeleteTransfer) -> Applied:
        """A transfer less."""
        with self._change:
            known = self._find(request.transfer, request.version)
            last = self._status(known)
            done = self._commit([one for one in self.saved.transfers if one is not known])
            return Applied(transfer=last, changed=True, **done)

    def arm(self, *, armed: bool) -> Emergency:
        """Stop comes into force before it is written down, arm after it."""
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

    def tick(self) -> None:
        """Follows next hops: one that has moved, and one that is there at last."""
        found = self._look_up(self._open)
        with self._change:
            self._follow({target: mac for target, mac in found.items() if self._macs.get(target) != mac})

    def _follow(self, moved: dict[Address, str]) -> None:
        if moved:
            log.info("next hops have moved", targets={str(target): mac for target, mac in moved.items()})
            self._macs |= moved
            self._force(self.saved, self.config)

    @property
    def _open(self) -> Engine:
        """Who asks has it held (``seat``)."""
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
        """How many ids the engine has given, and the new transfer's id."""
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
        """Checked, written, in force: what that came to. Or all as before, and an error."""
        before, all_of_them = self.saved, tuple(transfers)
        config = checked(self._base, all_of_them)
        changes = {"version": before.version + 1, "transfers": all_of_them, "named": named or before.named}
        after = before.model_copy(update=changes)
        slots.place(self._slots, after, config, self._macs)  # refused before anything is written
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
        """The dataplane has them when this returns; where it is not open it will when it is."""
        if self._engine is None:
            return
        placed = slots.place(self._slots, saved, config, self._macs)
        self._engine.change([slot.told for slot in placed], config.limits.sessions_per_second)
        self._slots = placed

    def _must_resolve(self, wanted: Transfer) -> None:
        """The way to the target is known, and it may be a target. Raises ControlError."""
        checked(self._base, [SavedTransfer(id="new", version=1, paused=False, settings=wanted)])
        target = wanted.target.address
        try:
            with self._way:
                found = self._open.neighbours.resolve([target])
        except NeighbourError as error:
            raise refused(ErrorKind.UNAVAILABLE, str(error)) from error
        with self._change:
            self._macs |= {at: hop.mac for at, hop in found.items()}

    def _look_up_first(self, engine: Engine) -> dict[Address, str]:
        """The same before an engine is ready: next hops have FIRST_LOOK_S to answer, all together."""
        deadline = time.monotonic() + FIRST_LOOK_S
        for target in self._targets():
            with suppress(NeighbourError):
                engine.neighbours.resolve([target], max(0.0, deadline - time.monotonic()))
        return self._look_up(engine)

    def _targets(self) -> set[Address]:
        return {one.settings.target.address for one in self.saved.transfers}

    def _look_up(self, engine: Engine) -> dict[Address, str]:
        """The next hops that are known now. A target without one waits; the others do not wait for it."""
        found: dict[Address, str] = {}
        for target in self._targets():
            try:
                with self._way:
                    found |= {at: hop.mac for at, hop in engine.neighbours.lookup([target]).items()}
            except NeighbourError as error:
                log.warning("a target has no route", error=str(error))
        return found

    def _reset(self) -> int:
        if self._engine is None:
            return 0
        counters = self._engine.counters()
        return sum(counters[name] for name in ENDS)

    def _outcome(self, before: int, started: float) -> Outcome:
        """Of a change: ``before`` it so many sessions had been reset. Returns when targets have let go."""
        reset = self._reset() - before
        unconfirmed = self._engine.confirm() if self._engine is not None and reset else 0
        took = 1e3 * (time.monotonic() - started)
        return Outcome(sessions_reset=reset, unconfirmed=unconfirmed, took_ms=took)

    def _unchanged(self, known: SavedTransfer) -> Applied:
        nothing = Outcome(sessions_reset=0, unconfirmed=0, took_ms=0.0)
        return Applied(transfer=self._status(known), changed=False, **nothing)

    def _status(self, one: SavedTransfer) -> TransferStatus:
        mac = self._macs.get(one.settings.target.address, "")
        sentences = {each.transfer: each.sentence for each in forecast(self.config)}
        return TransferStatus(
            id=one.id,
            slot=slots.slot_of(self._slots, one),
            version=one.version,
            state=self._state(one, known=bool(mac)),
            paused=one.paused,
            settings=one.settings,
            next_hop=mac,
            forecast=sentences[one.settings],
        )

    def _state(self, one: SavedTransfer, *, known: bool) -> TransferState:
        if not self.saved.armed:
            return TransferState.STOPPED
        if one.paused:
            return TransferState.PAUSED
        return TransferState.RUNNING if known else TransferState.UNREACHABLE
