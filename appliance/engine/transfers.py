"""The transfers of a running engine, by the one route that they have into it, whatever started it.

An engine opens without any. ``apply`` gives each a slot, tells the dataplane, and then tells the ports what
to pass on; ``follow`` does so again where a next hop has moved.
"""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING

import structlog

from appliance.engine.slots import Wanted, place, slot_of
from appliance.errors import MachineError
from dataplane.binding import DataplaneError, TransferState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appliance.engine.hops import NextHops
    from appliance.engine.ports import Endpoint, Port
    from appliance.engine.slots import Slot
    from appliance.settings.config import Config
    from appliance.settings.endpoint import Address
    from dataplane import binding
    from dataplane.binding import Dataplane

log = structlog.get_logger()

CHANGE_TIMEOUT_S = 1.0
CHANGE_STEP_S = 0.0005
CONFIRM_TIMEOUT_S = 0.2
MOST_TARGETS = 256  # whose answers end here; a port takes 512 endpoints


def named(config: Config) -> tuple[Wanted, ...]:
    """The transfers of a configuration, as t1, t2 and so on."""
    return tuple(Wanted(f"t{number}", one) for number, one in enumerate(config.transfers, 1))


def targets_of(wanted: Iterable[Wanted]) -> tuple[Address, ...]:
    """Each target's address once."""
    return tuple(dict.fromkeys(one.target for one in wanted))


class Transfers:
    """Any thread may call; changes come one at a time."""

    def __init__(self, dataplane: Dataplane, mirrors: Sequence[Port], test: Port, hops: NextHops) -> None:
        self.hops = hops
        self._dataplane = dataplane
        self._mirrors = mirrors
        self._test = test
        self._lock = threading.Lock()
        self._config: Config
        self._wanted: Sequence[Wanted] = ()
        self._slots: tuple[Slot, ...] = ()
        self._targets: dict[Endpoint, None] = {}  # the latest last
        self._in_force = True

    def check(self, config: Config, wanted: Sequence[Wanted]) -> None:
        """Raises SlotError where ``apply`` would."""
        place(self._slots, config, wanted, self.hops.known)

    def apply(self, config: Config, wanted: Sequence[Wanted]) -> None:
        """All workers have these transfers, and no others, when this returns.

        ``config`` has the settings of all of them. One whose next hop is not known waits for ``follow``.
        Raises SlotError, DataplaneError, or MachineError if a worker does not follow in CHANGE_TIMEOUT_S.
        """
        with self._lock:
            placed = place(self._slots, config, wanted, self.hops.known)
            self._config, self._wanted = config, wanted
            self._push(placed)

    def follow(self) -> None:
        """Once a second: next hops that have moved, or are known at last, come into force."""
        self.hops.follow(targets_of(self._wanted))
        with self._lock:
            placed = place(self._slots, self._config, self._wanted, self.hops.known)
            if placed == self._slots and self._in_force:
                return
            try:
                self._push(placed)
            except (MachineError, DataplaneError) as error:
                log.warning("transfers are not in force yet; trying again in a second", error=str(error))

    def confirm(self) -> int:
        """Waits until targets have let go of the sessions that a change has reset, or CONFIRM_TIMEOUT_S.

        Returns how many they may still hold.
        """
        deadline = time.monotonic() + CONFIRM_TIMEOUT_S
        while (left := self._dataplane.unconfirmed()) and time.monotonic() < deadline:
            time.sleep(CHANGE_STEP_S)
        return left

    def slot_of(self, one: Wanted) -> int:
        """Where a transfer in force is: in the dataplane, and in the stats segment."""
        return slot_of(self._slots, one)

    def _push(self, placed: tuple[Slot, ...]) -> None:
        """The test port takes answers before anything is sent; mirror ports give once workers are ready."""
        deadline = time.monotonic() + CHANGE_TIMEOUT_S
        told = [slot.told for slot in placed]
        self._in_force = False
        self._remember(told)
        self._test.want(tuple(self._targets))
        self._tell(told, deadline)
        self._slots = placed
        while not self._dataplane.is_changed():
            if time.monotonic() > deadline:
                raise MachineError("a worker does not take up the change; xdpcopy status shows which hangs")
            time.sleep(CHANGE_STEP_S)
        for mirror in self._mirrors:
            mirror.want(_sources(told))
        self._in_force = True

    def _remember(self, told: Sequence[binding.Transfer]) -> None:
        """Late answers of a target must end here, also when its transfer is gone and its slot used again."""
        for one in told:
            target = (one.target_ip, one.target_port, one.transport)
            self._targets.pop(target, None)
            self._targets[target] = None
        while len(self._targets) > MOST_TARGETS:
            del self._targets[next(iter(self._targets))]

    def _tell(self, transfers: Sequence[binding.Transfer], deadline: float) -> None:
        """Once the dataplane is done with the change before."""
        while True:
            try:
                self._dataplane.change(transfers, self._config.limits.sessions_per_second)
            except DataplaneError as error:
                if error.errno != errno.EBUSY:
                    raise
                if time.monotonic() > deadline:
                    raise MachineError(f"no change is possible: {error.strerror}") from error
                time.sleep(CHANGE_STEP_S)
            else:
                return


def _sources(told: Iterable[binding.Transfer]) -> tuple[Endpoint, ...]:
    """What mirror ports are to pass on."""
    live = [one for one in told if one.state is not TransferState.REMOVED]
    return tuple((one.source_ip, one.source_port, one.transport) for one in live)
