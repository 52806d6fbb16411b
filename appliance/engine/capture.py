"""A mirror port that reads capture files, in place of all mirror devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from appliance.engine.ledger import PortAccount
from appliance.engine.ports import PortReport
from dataplane import binding
from dataplane.binding import PortKind, PortMode, PortRole

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import ExitStack

    from appliance.engine.machine import Machine
    from appliance.engine.ports import Endpoint
    from dataplane.binding import Capture, CaptureProgress, Dataplane


@dataclass(frozen=True)
class CapturePlan:
    """Which files, and how fast."""

    captures: Capture
    device: ClassVar[str] = "captures"
    near_cpus: ClassVar[tuple[int, ...]] = ()
    notes: ClassVar[tuple[str, ...]] = ()
    warnings: ClassVar[tuple[str, ...]] = ()

    def port(self, machine: Machine) -> CapturePort:  # noqa: ARG002 - nothing of the machine is needed
        """The port, not open yet."""
        return CapturePort(self)

    def dataplane(self) -> binding.Port:
        """Captures are often made where the NIC computes checksums, so wrong ones do not count."""
        kind, role = PortKind.CAPTURE, PortRole.MIRROR
        return binding.Port(kind, role, verify_checksums=False, capture=self.captures)


class CapturePort:
    """The files while an engine reads them. They stand still while nothing is wanted."""

    def __init__(self, plan: CapturePlan) -> None:
        self._plan = plan
        self._dataplane: Dataplane
        self._wanted = False
        self._paused = False

    def open(self, undo: ExitStack) -> binding.Port:  # noqa: ARG002 - nothing of the machine is changed
        """The dataplane reads the files."""
        return self._plan.dataplane()

    def opened(self, dataplane: Dataplane, index: int) -> None:  # noqa: ARG002 - there is one capture port
        """Its clock does not run yet."""
        self._dataplane = dataplane
        self._run()

    def want(self, endpoints: Collection[Endpoint]) -> None:
        """The line sees every frame of a capture, and counts those that no transfer names."""
        self._wanted = bool(endpoints)
        self._run()

    def pause(self, *, paused: bool) -> None:
        """Stops the clock of the capture, or lets it go on from where it stood."""
        self._paused = paused
        self._run()

    def progress(self) -> CaptureProgress:
        """How far the files have been replayed."""
        return self._dataplane.capture_progress()

    def troubles(self) -> dict[str, str]:
        """A sentence for each file whose rest could not be read."""
        return self._dataplane.capture_troubles()

    def report(self) -> PortReport:
        """How many files."""
        count = len(self._plan.captures.files)
        line = f"mirror port: {count} capture file{'' if count == 1 else 's'}"
        return PortReport(PortRole.MIRROR, line, (PortMode.CAPTURE,))

    def account(self) -> PortAccount:
        """Frames of a file wait until there is room: none is lost before the line."""
        return PortAccount(self._plan.device, PortRole.MIRROR, {}, [])

    def _run(self) -> None:
        if self._wanted and not self._paused:
            self._dataplane.resume_capture()
        else:
            self._dataplane.pause_capture()
