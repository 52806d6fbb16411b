"""The api's address and token: from options, the environment, the user's file, or the defaults."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from appliance.errors import ConfigError
from appliance.settings.loading import message
from appliance.settings.model import Model

DEFAULT = "http://127.0.0.1:8600"
TOKEN = re.compile(r"[!-~]*")


class Connection(Model):
    """What the file may set; also the outcome of all sources."""

    api: str = DEFAULT
    token: str = ""
    token_file: Path | None = None
    cacert: Path | None = None


def file() -> Path:
    """The user's file, ~/.config/xdpcopy.yaml by default."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "xdpcopy.yaml"


def connection(**given: object) -> Connection:
    """Options take precedence over the environment, and that over the file. Raises ConfigError."""
    environment = {name: os.environ.get(f"XDPCOPY_{name.upper()}") for name in Connection.model_fields}
    found = _read(file())
    for layer in (environment, given):
        said = {name: value for name, value in layer.items() if value is not None}
        if said.keys() & {"token", "token_file"}:
            said = {"token": "", "token_file": None} | said
        found = Connection.model_validate(found.model_dump() | said)
    parts = urlsplit(found.api)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"--api: '{found.api}' is not the address of an api; write one like {DEFAULT}")
    if not found.token and found.token_file is not None:
        found = found.model_copy(update={"token": _text(found.token_file).strip()})
    if not TOKEN.fullmatch(found.token):
        raise ConfigError("--token: it has characters that no token has; give it exactly as it was printed")
    return found


def _read(path: Path) -> Connection:
    if not path.exists():
        return Connection()
    try:
        said: Any = yaml.safe_load(_text(path)) or {}
        return Connection.model_validate(said)
    except yaml.YAMLError as error:
        raise ConfigError(f"is not YAML: {error}", source=str(path)) from error
    except ValidationError as error:
        known = ", ".join(Connection.model_fields)
        problems = [
            f"{'.'.join(map(str, each['loc']))}: it {message(each)}; known are {known}"
            for each in error.errors()
        ]
        raise ConfigError(*problems, source=str(path)) from error


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot be read: {reason}", source=str(path)) from error
