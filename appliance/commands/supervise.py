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
from appliance.signals import STOP_SIGNALS, held_signals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from appliance.settings.api import Api

log = structlog.get_logger()

CHECK_S = 0.2
RESTART_S = 1.0
STOP_TIMEOUT_S = 5.0
PROGRAM = (sys.executable, "-m", "appliance.cli")


def supervise(config: Path, files: Sequence[str], api_settings: Api) -> int:
    """Until SIGTERM, SIGINT or SIGHUP, or until the engine ends: its exit status. Raises OSError."""
    with held_signals(STOP_SIGNALS):
        user = _user(api_settings)
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


def _user(settings: Api) -> pwd.struct_passwd | None:
    """Whom the api runs as, None: as the engine. Folders of its files are made, and are that user's."""
    if not settings.user:
        return None
    try:
        found = pwd.getpwnam(settings.user)
    except KeyError:
        raise ConfigError(
            f"api.user: there is no user '{settings.user}'; getent passwd shows those there are"
        ) from None
    for path in (settings.tokens, settings.audit, settings.certificate, settings.key):
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o750)
            os.chown(path.parent, found.pw_uid, found.pw_gid)
    return found


def _start(
    command: str, config: Path, files: Sequence[str] = (), user: pwd.struct_passwd | None = None
) -> subprocess.Popen[bytes]:
    """A child keeps the signals held: the engine waits for them, and the api lets them through itself."""
    argv = (*PROGRAM, command, "--config", str(config), *files)
    if user is None:
        return subprocess.Popen(argv)
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return subprocess.Popen(argv, user=user.pw_uid, group=user.pw_gid, extra_groups=groups)


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
