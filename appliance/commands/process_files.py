"""The log and the process id of a process, as files; and how it becomes a daemon."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import structlog

from appliance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def log_to(stream: TextIO | None = None) -> None:
    """Sends the log to a stream; None: to whatever is standard error at the time."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
    )


def become_daemon(log_file: Path | None) -> Callable[[], None]:
    """Continues in a child process with its own session; the parent exits once the child is ready.

    Returns what to call when ready: it sends all further output to the log file. If the child ends before
    that, the parent exits with its status. Call it before starting threads, which a fork leaves behind.
    Raises ConfigError without a log file.
    """
    if log_file is None:
        raise ConfigError("a daemon has no terminal for its log; add -l FILE", source="-d")
    with _opened(log_file, "-l"):
        sys.stdout.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        ready = os.read(reading, 1)
        os._exit(0 if ready else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os.close(reading)
    os.setsid()

    def say_ready() -> None:
        sys.stdout.flush()
        with Path(os.devnull).open() as nothing, log_file.open("a") as log:
            for number, stream in enumerate((nothing, log, log)):
                os.dup2(stream.fileno(), number)
        os.write(writing, b"!")
        os.close(writing)

    return say_ready


def not_a_daemon() -> None:
    """What to call when ready, in the foreground: does nothing."""


@contextmanager
def process_files(log_file: Path | None, pid_file: Path | None) -> Iterator[None]:
    """Keeps log and process id in these files. Raises ConfigError if they cannot be written.

    The process id of another running process is not overwritten.
    """
    with ExitStack() as undo:
        if log_file is not None:
            stream = undo.enter_context(_opened(log_file, "-l"))
            undo.callback(log_to)
            log_to(stream)
        if pid_file is not None:
            _check_free(pid_file)
            with _opened(pid_file, "-P", "w") as stream:
                print(os.getpid(), file=stream)
            undo.callback(pid_file.unlink, missing_ok=True)
        yield


def _opened(path: Path, letter: str, mode: str = "a") -> TextIO:
    try:
        return path.open(mode, buffering=1)  # type: ignore[return-value]
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", source=letter) from error


def _check_free(path: Path) -> None:
    try:
        number = int(path.read_text())
        os.kill(number, 0)
    except (OSError, ValueError):
        return
    if number != os.getpid():
        raise ConfigError(
            f"{path} names process {number}, which is running; end it, or give another file", source="-P"
        )
