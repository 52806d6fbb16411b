"""``xdpcopy run`` with an api: the engine and the api as two processes, and who looks after them.

The engine decides: when it ends, all ends, with its status. The api is started again whenever it ends; the
engine does not notice.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import structlog

from appliance.errors import ConfigError
from appliance.run import STOP_SIGNALS, held_signals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

log = structlog.get_logger()

CHECK_S = 0.2
RESTART_S = 1.0
STOP_TIMEOUT_S = 5.0
PROGRAM = (sys.executable, "-m", "appliance.cli")


def supervise(config: Path, files: Sequence[str], user: str) -> int:
    """Until SIGTERM, SIGINT or SIGHUP, or until the engine ends: its exit status. Raises OSError."""
    with held_signals(STOP_SIGNALS):
        api = _start("api", config, user=user)  # first: it may be refused, and does not need the engine
        engine = _start("engine", config, files)
        started = time.monotonic()
        try:
            while engine.poll() is None and signal.sigtimedwait(STOP_SIGNALS, CHECK_S) is None:
                if api.poll() is not None and time.monotonic() - started > RESTART_S:
                    log.warning("the api ended and is started again", status=api.returncode)
                    api, started = _start("api", config, user=user), time.monotonic()
        finally:
            _stop(engine, api)
    return engine.returncode if engine.returncode >= 0 else 1


def _start(command: str, config: Path, files: Sequence[str] = (), user: str = "") -> subprocess.Popen[bytes]:
    """A child keeps the signals held: the engine waits for them, and the api lets them through itself."""
    argv = (*PROGRAM, command, "--config", str(config), *files)
    if not user:
        return subprocess.Popen(argv)
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(
            f"api.user: there is no user '{user}'; getent passwd shows those there are"
        ) from None
    groups = os.getgrouplist(user, found.pw_gid)
    return subprocess.Popen(argv, user=found.pw_uid, group=found.pw_gid, extra_groups=groups)


def _stop(*processes: subprocess.Popen[bytes]) -> None:
    """Both are told at once: the engine does not wait for the api's readers."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
