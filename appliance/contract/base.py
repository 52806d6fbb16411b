"""What all calls of the control socket share: request, answer, error."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from appliance.errors import MachineError


class Answer(BaseModel):
    """What the engine answers. Unknown fields are ignored: a newer engine may send more."""

    model_config = ConfigDict(frozen=True)


A = TypeVar("A", bound=Answer)


class Request(BaseModel, Generic[A]):
    """A request to the engine. Each kind sets ``call``, its name on the socket, and ``answer``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: ClassVar[str]
    answer: ClassVar[type[Answer]]


# --- errors -----------------------------------------------------------------------------------------------


class ErrorKind(StrEnum):
    """Why a request was refused; nothing has changed then."""

    INVALID = "invalid"  # the request itself is wrong
    NOT_FOUND = "not_found"  # no such transfer, session …
    CONFLICT = "conflict"  # another version, an id already in use, or not armed
    TOO_LARGE = "too_large"  # more than one upload may have
    NO_ROOM = "no_room"  # more than all uploads may have
    UNAVAILABLE = "unavailable"  # the engine, the machine or the target cannot do it now


class Problem(Answer):
    """One reason, with cause and cure; ``field`` is a path like transfers[0].target."""

    field: str = ""
    value: Any = None
    message: str


class Failure(Answer):
    """An error answer: a sentence, and a problem for each field that is wrong."""

    kind: ErrorKind
    message: str
    problems: tuple[Problem, ...] = ()


class ControlError(MachineError):
    """The engine refused a request, or could not carry it out."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.kind = failure.kind
        self.problems = failure.problems


def refused(kind: ErrorKind, message: str, *problems: Problem) -> ControlError:
    """The error to raise for a request that is refused."""
    return ControlError(Failure(kind=kind, message=message, problems=problems))
