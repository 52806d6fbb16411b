"""The client of the control socket.

    client = Client(path)
    client.call(GetStatus()).uptime_s
    client.call(PauseTransfer(transfer="shop")).sessions_reset

Each call opens a connection of its own (about 20 µs), so a client has no state: any thread may use it, and it
works again as soon as the engine is back.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, cast

from appliance.contract.base import Answer, ControlError, ErrorKind, Failure, Request
from appliance.settings.control import SOCKET

if TYPE_CHECKING:
    from pathlib import Path
    from typing import TypeVar

    A = TypeVar("A", bound=Answer)

TIMEOUT_S = 10.0


class EngineDownError(ControlError):
    """Nothing answers at the socket. A change may have been made, or not: ask when the engine is back."""

    def __init__(self, path: Path, reason: object) -> None:
        message = f"no engine answers at {path} ({reason}); start one with xdpcopy engine"
        super().__init__(Failure(kind=ErrorKind.UNAVAILABLE, message=message))


class Client:
    """Calls the engine. Raises ControlError if it refuses, EngineDownError if it does not answer."""

    def __init__(self, path: Path = SOCKET, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path
        self._timeout_s = timeout_s

    def call(self, request: Request[A]) -> A:
        """The engine's answer to a request."""
        line = {"id": 1, "call": request.call, "with": request.model_dump(mode="json")}
        said = self._exchange(json.dumps(line).encode() + b"\n")
        if "error" in said:
            raise ControlError(Failure.model_validate(said["error"]))
        return cast("A", request.answer.model_validate(said["result"]))

    def _exchange(self, line: bytes) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(self._timeout_s)
                link.connect(str(self.path))
                link.sendall(line)
                with link.makefile("rb") as answers:
                    answer = answers.readline()
        except PermissionError as error:
            raise EngineDownError(self.path, f"{error.strerror}: join its group") from error
        except OSError as error:
            raise EngineDownError(self.path, error) from error
        if not answer.endswith(b"\n"):
            raise EngineDownError(self.path, "it closed the connection without an answer")
        said: dict[str, Any] = json.loads(answer)
        return said
