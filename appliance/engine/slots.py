"""Which slot of the dataplane each transfer has. Pure functions.

A transfer keeps its slot as long as it keeps its source, target and protocol. The slot of a removed one stays
with its target (``dp_change`` says why), and is used again when no fresh one is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.engine import plan
from appliance.errors import SlotError
from dataplane.binding import MAX_TRANSFERS, TransferState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.engine.nic import Hop
    from appliance.settings.config import Config
    from appliance.settings.endpoint import Address
    from appliance.settings.transfer import Transfer
    from dataplane import binding

Owner = tuple[str, str, str, str]


@dataclass(frozen=True)
class Wanted:
    """A transfer that should be in force. No other has its name while it lives."""

    name: str
    settings: Transfer
    state: TransferState = TransferState.RUNNING

    @property
    def target(self) -> Address:
        """The target's address."""
        return self.settings.target.address

    @property
    def owner(self) -> Owner:
        """What identifies it: with another target, say, it is another transfer."""
        settings = self.settings
        return self.name, str(settings.source), str(settings.target), str(settings.protocol)


@dataclass(frozen=True)
class Slot:
    """Who owns it, or did, and what the dataplane is told."""

    owner: Owner
    told: binding.Transfer


def place(
    slots: Sequence[Slot], config: Config, wanted: Sequence[Wanted], hops: Mapping[Address, Hop]
) -> tuple[Slot, ...]:
    """The slots with these transfers in force: one whose next hop is not known is paused.

    Raises SlotError if there is no slot for a new one.
    """
    places = [_removed(slot) for slot in slots]
    where = {slot.owner: index for index, slot in enumerate(slots)}
    fresh: list[Slot] = []
    for one in wanted:
        told = plan.binding_transfer(config, one.settings, hops.get(one.target), one.state)
        made = Slot(one.owner, told)
        index = where.get(made.owner)
        if index is None:
            fresh.append(made)
        else:
            places[index] = made
    free = [index for index, slot in enumerate(slots) if slot.told.state is TransferState.REMOVED]
    return _with(places, free, fresh)


def slot_of(slots: Sequence[Slot], one: Wanted) -> int:
    """The slot of a transfer that is in force."""
    return next(index for index, slot in enumerate(slots) if slot.owner == one.owner)


def _with(places: list[Slot], free: list[int], fresh: list[Slot]) -> tuple[Slot, ...]:
    """New ones go behind the others or, where there is no more room, into slots of removed ones."""
    for made in fresh:
        if len(places) < MAX_TRANSFERS:
            places.append(made)
            continue
        free = [index for index in free if places[index].told.state is TransferState.REMOVED]
        if not free:
            raise SlotError(f"all {MAX_TRANSFERS} slots for transfers are taken; delete a transfer first")
        places[free[0]] = made
    return tuple(places)


def _removed(slot: Slot) -> Slot:
    return replace(slot, told=replace(slot.told, state=TransferState.REMOVED, pool=()))
