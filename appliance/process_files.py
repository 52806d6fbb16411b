"""What a process leaves in files while it runs: its log and its process id."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TextIO

import structlog

from appliance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def log_to(stream: TextIO | None = None) -> None:
    """From now on the log goes there; None: to standard error, whatever that is then."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.dev.ConsoleRenderer(colors=(stream or sys.stderr).isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
    )


@contextmanager
def process_files(log_file: Path | None, pid_file: Path | None) -> Iterator[None]:
    """Log and process id are in these files. Raises ConfigError where they cannot be written.

    A process id that another running process has left there is not overwritten.
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
            f"{path} names process {number}, which runs; end it, or give another file", source="-P"
        )
