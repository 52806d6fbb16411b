"""The last gate: nothing passes answers on, should the engine die and its XDP programs be gone.

The programs of a running engine keep the target's answers from the kernel. Nothing of ours is left after a
kill, so what the kernel would do then is looked at before anything is sent, and every second afterwards
(docs/adr/0011-refuse-where-the-kernel-forwards.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from appliance.errors import DeviceError
from appliance.settings.safety import Forwarding

if TYPE_CHECKING:
    from appliance.engine.machine import Machine
    from appliance.settings.config import Config

log = structlog.get_logger()


class Gate:
    """Whether the kernel would pass on what comes in by the test port."""

    def __init__(self, config: Config, machine: Machine) -> None:
        self._device = config.test.device
        self._allowed = config.safety.forwarding is Forwarding.ALLOW
        self._machine = machine
        self._was_open = False

    def check(self) -> None:
        """Raises DeviceError where it would, unless safety.forwarding allows that."""
        ways = self._ways()
        if ways and not self._allowed:
            raise DeviceError(
                f"safety.forwarding: it is refuse, but {_sentence(ways)}, so answers could reach real"
                f" clients once this engine is gone; {_cure(ways)}, or set it to allow if a firewall"
                " drops them"
            )
        for why, cure in ways.items():
            log.warning("the kernel would forward what the XDP program lets pass", why=why, cure=cure)

    def is_open(self) -> bool:
        """Whether it has come to be so since, and is not allowed. Logs when that changes."""
        ways = {} if self._allowed else self._ways()
        if ways and not self._was_open:
            log.error("nothing is replayed while answers could leave", why=_sentence(ways), cure=_cure(ways))
        elif self._was_open and not ways:
            log.info("answers cannot leave any more; replaying again")
        self._was_open = bool(ways)
        return self._was_open

    def _ways(self) -> dict[str, str]:
        """Each way on, and what closes it."""
        ways = {f"{name} is on": f"sysctl -w {name}=0" for name in self._machine.forwards(self._device)}
        master = self._machine.master(self._device)
        if master:
            ways[f"{self._device} is a port of {master}"] = f"ip link set {self._device} nomaster"
        return ways


def _sentence(ways: dict[str, str]) -> str:
    return " and ".join(ways)


def _cure(ways: dict[str, str]) -> str:
    return " && ".join(ways.values())
