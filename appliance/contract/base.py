"""Request, answer, failure: what every call of the control socket has in common."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from appliance.errors import MachineError


class Answer(BaseModel):
    """What the engine says; a newer engine may say more."""

    model_config = ConfigDict(frozen=True)


A = TypeVar("A", bound=Answer)


class Request(BaseModel, Generic[A]):
    """What is asked of the engine; ``call`` and ``answer`` are given by each kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    call: ClassVar[str]
    answer: ClassVar[type[Answer]]


# --- errors -----------------------------------------------------------------------------------------------


class ErrorKind(StrEnum):
    """Why a request was refused. Nothing has been changed then."""

    INVALID = "invalid"  # the request cannot be used as it is
    NOT_FOUND = "not_found"  # there is no such transfer, session …
    CONFLICT = "conflict"  # another version, another transfer of that id, or not armed
    TOO_LARGE = "too_large"  # more than one upload may have
    NO_ROOM = "no_room"  # more than all uploads may have
    UNAVAILABLE = "unavailable"  # the engine, the machine or the target cannot do it now


class Problem(Answer):
    """One reason, a sentence with cause and cure; ``field`` is a path like transfers[0].target."""

    field: str = ""
    value: Any = None
    message: str


class Failure(Answer):
    """An error answer; ``message`` is a sentence, ``problems`` one for each field, if any."""

    kind: ErrorKind
    message: str
    problems: tuple[Problem, ...] = ()


class ControlError(MachineError):
    """The engine refuses: ``kind`` says in what way, ``problems`` has a sentence for each field."""

    def __init__(self, failure: Failure) -> None:
        """What the engine answers."""
        super().__init__(failure.message)
        self.failure = failure
        self.kind = failure.kind
        self.problems = failure.problems


def refused(kind: ErrorKind, message: str, *problems: Problem) -> ControlError:
    """To be raised by the engine."""
    return ControlError(Failure(kind=kind, message=message, problems=problems))
