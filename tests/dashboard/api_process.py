"""``xdpcopy api`` as a process beside an engine, at a loopback address of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from api.tokens import Role, Tokens

if TYPE_CHECKING:
    from pathlib import Path

PORT = 8600
START_TIMEOUT_S = 30.0


class ApiProcess:
    """Started at once; ``base`` is its address, ``token(role)`` makes a token."""

    def __init__(self, directory: Path, socket: Path, **more: Any) -> None:
        """``more``: of the configuration, as the engine has it."""
        number = os.getpid()
        address = f"127.{64 + (number >> 16) % 64}.{number >> 8 & 255}.{number & 255}"
        self.base = f"http://{address}:{PORT}"
        self.tokens = Tokens(directory / "tokens.json")
        self.audit = directory / "audit.jsonl"
        api = {"address": address, "tokens": str(self.tokens.path), "audit": str(self.audit)}
        configuration = {
            "mirror": [{"device": "mirror0"}],
            "test": {"device": "test0"},
            "control": {"socket": str(socket), "state": str(directory / "unused")},
            "api": api,
            **more,
        }
        path = directory / "api.yaml"
        path.write_text(yaml.safe_dump(configuration))
        argv = (sys.executable, "-m", "appliance.cli", "api", "--config", str(path))
        self.process = subprocess.Popen(argv)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def token(self, role: Role) -> str:
        return self.tokens.create(role.value, role)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            assert self.process.poll() is None, "xdpcopy api has ended"
            try:
                httpx.get(f"{self.base}/health").raise_for_status()
            except httpx.TransportError:
                assert time.monotonic() < deadline, "xdpcopy api does not answer"
                time.sleep(0.05)
            else:
                return
