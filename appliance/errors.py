"""Everything that can go wrong, as one tree. A message names the cause and, where possible, the cure.

    ApplianceError
    ├── ConfigError           the user's input cannot be used               exit status 2
    │   └── TransferError     a transfer or endpoint cannot be read
    └── MachineError          the machine lacks or refuses something        exit status 1
        ├── DeviceError       a network device is missing or unsuitable
        ├── NeighbourError    the way to a target does not resolve
        └── SlotError         the dataplane has no room for another transfer

The dataplane's own errors (``DataplaneError``, those of pyxdp) are OSErrors, and count as the machine's.
"""

from __future__ import annotations


class ApplianceError(Exception):
    """Any error that the appliance reports to its user."""

    exit_status = 1


class ConfigError(ApplianceError):
    """The configuration or the command line cannot be used.

    ``problems`` has a sentence for each reason; ``source`` says where they are: a file, or an option.
    """

    exit_status = 2

    def __init__(self, *problems: str, source: str = "") -> None:
        self.problems = problems
        self.source = source
        super().__init__("\n".join(f"{source}: {problem}" if source else problem for problem in problems))


class TransferError(ConfigError, ValueError):
    """A transfer or endpoint cannot be read. A ValueError too, so that pydantic reports it with its field."""


class MachineError(ApplianceError):
    """The machine lacks or refuses something."""


class DeviceError(MachineError):
    """A network device is missing or unsuitable."""


class NeighbourError(MachineError):
    """The next hop towards a target does not resolve."""


class SlotError(MachineError):
    """The dataplane has no room for another transfer."""
