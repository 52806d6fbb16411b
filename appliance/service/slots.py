"""Where each transfer lives in the dataplane: a place that it keeps as long as it has the same endpoints.

The place of a removed transfer is kept with its target (``dp_change`` says why), and used again when no fresh
one is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.contract.base import ErrorKind, refused
from appliance.engine import plan
from dataplane.binding import MAX_TRANSFERS, TransferState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.service.store import Saved, SavedTransfer
    from appliance.settings.config import Config
    from appliance.settings.endpoint import Address
    from dataplane import binding

NO_MAC = "00:00:00:00:00:00"

Owner = tuple[str, str, str, str]


@dataclass(frozen=True)
class Slot:
    """A place: whose it is, or was, and what the dataplane was told."""

    owner: Owner
    told: binding.Transfer


def owner_of(one: SavedTransfer) -> Owner:
    """What makes it another transfer for the dataplane."""
    return one.id, str(one.settings.source), str(one.settings.target), str(one.settings.protocol)


def place(
    slots: Sequence[Slot], saved: Saved, config: Config, macs: Mapping[Address, str]
) -> tuple[Slot, ...]:
    """The slots with these transfers in force. Raises ControlError if there is no place."""
    places = [_removed(slot) for slot in slots]
    where = {slot.owner: index for index, slot in enumerate(slots)}
    fresh: list[Slot] = []
    for one, settings in zip(saved.transfers, config.transfers, strict=True):
        target = settings.target.address
        told = plan.binding_transfer(config, settings, target, macs.get(target, NO_MAC))
        made = Slot(owner_of(one), replace(told, state=_state(one, armed=saved.armed, known=target in macs)))
        index = where.get(made.owner)
        if index is None:
            fresh.append(made)
        else:
            places[index] = made
    free = [at for at, slot in enumerate(slots) if slot.told.state is TransferState.REMOVED]
    return _with(places, free, fresh)


def slot_of(slots: Sequence[Slot], one: SavedTransfer) -> int:
    """The place of a transfer."""
    return next(index for index, slot in enumerate(slots) if slot.owner == owner_of(one))


def _with(places: list[Slot], free: list[int], fresh: list[Slot]) -> tuple[Slot, ...]:
    """Those that are new: behind the others, or, where there is no more room, in places of removed ones."""
    for made in fresh:
        if len(places) < MAX_TRANSFERS:
            places.append(made)
            continue
        free = [at for at in free if places[at].told.state is TransferState.REMOVED]
        if not free:
            raise refused(
                ErrorKind.CONFLICT,
                f"all {MAX_TRANSFERS} places for transfers are taken; delete a transfer first",
            )
        places[free[0]] = made
    return tuple(places)


def _removed(slot: Slot) -> Slot:
    return replace(slot, told=replace(slot.told, state=TransferState.REMOVED, pool=()))


def _state(one: SavedTransfer, *, armed: bool, known: bool) -> TransferState:
    if not armed:
        return TransferState.STOPPED
    return TransferState.PAUSED if one.paused or not known else TransferState.RUNNING
