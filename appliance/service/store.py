"""What must survive: the transfers as they were last changed, and whether the appliance is armed.

One JSON file, replaced as a whole: a start after a crash at any moment finds the state before a
change or after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from appliance.durable import write_whole
from appliance.errors import MachineError
from appliance.settings.model import Id, Model
from appliance.settings.transfer import Transfer  # noqa: TC001 - pydantic reads the annotations at run time

if TYPE_CHECKING:
    from pathlib import Path


class SavedTransfer(Model):
    """A transfer: ``version`` counts its changes."""

    id: Id
    version: int
    paused: bool
    settings: Transfer


class Saved(Model):
    """The state. ``version`` counts all changes; ``named`` the ids that the engine has given."""

    format: Literal[1] = 1
    version: int = 0
    named: int = 0
    armed: bool = True
    transfers: tuple[SavedTransfer, ...] = ()


class Store:
    """The file. Raises MachineError where it cannot be read, OSError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path

    def read(self) -> Saved | None:
        """The last state that was written; None: none ever was."""
        try:
            return Saved.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise MachineError(
                f"the transfers in {self.path} cannot be read ({error}); repair it, or remove it to start"
                " with those of the configuration"
            ) from error

    def write(self, saved: Saved) -> None:
        """Returns when a crash of the machine cannot lose it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, saved.model_dump_json(indent=2))
