"""What can go wrong, as one tree. Each message is a sentence that names the cause and, if possible, the cure.

    ApplianceError            everything below
    ├── ConfigError           what the user wrote cannot be used            exit status 2
    │   └── TransferError     a transfer or endpoint cannot be read
    └── MachineError          what the machine has or does not allow        exit status 1
        ├── DeviceError       a network device is missing or unsuitable
        ├── NeighbourError    the way to a target does not resolve
        └── SlotError         the dataplane has no room for another transfer

The dataplane's own errors (``DataplaneError``, those of pyxdp) are OSErrors and count as the machine's.
"""

from __future__ import annotations


class ApplianceError(Exception):
    """Anything that the appliance reports to its user."""

    exit_status = 1


class ConfigError(ApplianceError):
    """The configuration or the command line cannot be used; ``problems`` has a sentence for each reason."""

    exit_status = 2

    def __init__(self, *problems: str, source: str = "") -> None:
        """``source`` is where the words stand: a file, or an option."""
        self.problems = problems
        self.source = source
        super().__init__("\n".join(f"{source}: {problem}" if source else problem for problem in problems))


class TransferError(ConfigError, ValueError):
    """A transfer or endpoint cannot be read. A ValueError too: pydantic then reports it with its field."""


class MachineError(ApplianceError):
    """The machine lacks or refuses something."""


class DeviceError(MachineError):
    """A network device is missing or unsuitable."""


class NeighbourError(MachineError):
    """The next hop towards a target does not resolve."""


class SlotError(MachineError):
    """The dataplane has no room for another transfer."""
