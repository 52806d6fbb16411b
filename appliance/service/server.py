"""The engine's end of the control socket: lines in, answers out.

A thread for each connection reads, asks a handler, and writes; ``Live`` lets changes come one at a time.
"""

from __future__ import annotations

import json
import os
import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import ValidationError

from appliance.contract.base import Answer, ControlError, ErrorKind, Failure, Request, refused
from appliance.contract.calls import MAX_LINE, REQUESTS
from appliance.contract.problems import invalid, problems
from appliance.errors import ApplianceError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Handlers = Mapping[type[Request[Any]], Callable[[Any], Answer]]

log = structlog.get_logger()

CONNECTIONS = 64
IDLE_TIMEOUT_S = 30.0


class Listener(socketserver.ThreadingUnixStreamServer):
    """Bound at once, so that its file's owner can be set before privileges are dropped; serves later."""

    daemon_threads = True
    request_queue_size = CONNECTIONS

    def __init__(self, path: Path, group: int) -> None:
        """Takes the place of a socket that nobody listens at any more. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Connection, bind_and_activate=False)
            self.server_bind()
        finally:
            os.umask(before)
        os.chown(path, -1, group)
        path.chmod(0o660)
        self.path = path
        self.slots = threading.Semaphore(CONNECTIONS)
        self.answer: Callable[[bytes], dict[str, Any]]

    def verify_request(self, request: socket.socket | tuple[bytes, socket.socket], address: object) -> bool:  # noqa: ARG002 - the base class's
        """Whether there is room for another connection."""
        return self.slots.acquire(blocking=False)

    @contextmanager
    def serving(self, handlers: Handlers) -> Iterator[None]:
        """Answers until the block is left."""
        self.answer = lambda line: answer(line, handlers)
        self.server_activate()
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), name="control", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            self.server_close()
            self.path.unlink(missing_ok=True)


class _Connection(socketserver.StreamRequestHandler):
    timeout = IDLE_TIMEOUT_S
    server: Listener

    def handle(self) -> None:
        """Until the other side has had enough, says nothing for long, or too much at once."""
        try:
            while line := self.rfile.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE:
                    line = b""
                said = self.server.answer(line)
                self.wfile.write(json.dumps(said).encode() + b"\n")
                if not line:
                    return
        except OSError as error:
            log.debug("a control connection broke", error=str(error))

    def finish(self) -> None:
        try:
            super().finish()
        except OSError:
            log.debug("a control connection broke")
        finally:
            self.server.slots.release()


def answer(line: bytes, handlers: Handlers) -> dict[str, Any]:
    """What is said to one line."""
    number: Any = None
    try:
        asked = _parsed(line)
        number = asked.get("id")
        request = _request(asked)
        result = handlers[type(request)](request)
        return {"id": number, "result": result.model_dump(mode="json")}
    except ControlError as error:
        return {"id": number, "error": error.failure.model_dump(mode="json")}
    except (ApplianceError, OSError) as error:
        return {"id": number, "error": _unavailable(str(error))}
    except Exception as error:
        log.exception("a request failed", line=line[:200])
        return {"id": number, "error": _unavailable(f"an error of xdpcopy itself: {error!r}; see its log")}


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise refused(
            ErrorKind.INVALID,
            f"no JSON object on one line of at most {MAX_LINE} bytes",
        )
    return asked


def _request(asked: dict[str, Any]) -> Request[Any]:
    kind = REQUESTS.get(str(asked.get("call")))
    if kind is None:
        raise refused(
            ErrorKind.INVALID, f"there is no call '{asked.get('call')}'; there are {', '.join(REQUESTS)}"
        )
    try:
        return kind.model_validate(asked.get("with", {}))
    except ValidationError as error:
        raise invalid(problems(error)) from error


def _unavailable(message: str) -> dict[str, Any]:
    return Failure(kind=ErrorKind.UNAVAILABLE, message=message).model_dump(mode="json")
