"""The appliance's network devices, as settings."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from appliance.settings.model import Model
from dataplane.binding import MAX_WORKERS, RING_SIZE


class Mode(StrEnum):
    """How frames pass between a device and the appliance."""

    AUTO = "auto"
    ZEROCOPY = "zerocopy"
    COPY = "copy"
    GENERIC = "generic"


class Unwanted(StrEnum):
    """What happens to mirrored frames that match no transfer."""

    DROP = "drop"
    PASS = "pass"  # noqa: S105 - no password


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError(f"{value} is not a power of two; give {1 << value.bit_length()}")
    return value


Auto = Literal["auto"]
Device = Annotated[str, Field(min_length=1, max_length=15, pattern=r"^[^\s/:]+$")]


class Port(Model):
    """A network device of the appliance."""

    device: Device = Field(description="Name of the network device.")
    queues: Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Auto = Field(
        default="auto", description="How many of the device's receive queues to serve; auto: all of them."
    )
    mode: Mode = Field(
        default=Mode.AUTO,
        description="How frames reach user space. auto: the fastest way the device supports; zerocopy, copy:"
        " that way, or refuse to start; generic: copy without the driver's help, for drivers without XDP.",
    )
    ring_size: Annotated[int, Field(ge=64, le=32768), AfterValidator(_power_of_two)] = Field(
        default=RING_SIZE, description="Descriptors in each ring of each queue, a power of two."
    )
    busy_poll: bool = Field(
        default=False, description="Workers poll the driver themselves; its interrupts are deferred."
    )
    verify_checksums: bool = Field(
        default=True, description="Drop and count frames with a wrong IP or TCP checksum."
    )


class MirrorPort(Port):
    """A device that receives copies of production's frames. Nothing is ever sent on it."""

    unwanted: Unwanted = Field(
        default=Unwanted.DROP,
        description="What to do with frames that match no transfer: drop them, or pass them to the kernel.",
    )


class TargetPort(Port):
    """The device facing the targets. Their answers come back to it, and end in the appliance."""

    mtu: Annotated[int, Field(ge=576, le=9216)] | Auto = Field(
        default="auto",
        description="Largest packet to send; auto: the device's own MTU, which is the limit in any case"
        " (tcpcopy's -M).",
    )
