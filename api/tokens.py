"""Bearer tokens and their roles, in a file of argon2 hashes that ``xdpcopy token`` writes.

A token is ``xdp_ID_SECRET``. The id selects the entry, so a check computes one hash. An unknown id costs a
hash too, so that timing does not reveal which ids exist.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from enum import StrEnum
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from pydantic import BaseModel, Field, ValidationError

from appliance.durable import write_whole
from appliance.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path

HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)  # enough, as secrets have 256 bits
NOBODY = HASHER.hash("")
FAILURES = 10
WINDOW_S = 60.0
MAX_ADDRESSES = 4096


class Role(StrEnum):
    """What a token may do. Each role includes the one before."""

    VIEWER = "viewer"  # read
    OPERATOR = "operator"  # change transfers, stop, arm
    ADMIN = "admin"  # read the audit log

    def covers(self, needed: Role) -> bool:
        """Whether this role is sufficient."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


class Token(BaseModel):
    """An entry of the file."""

    id: str
    name: str = Field(min_length=1, max_length=64)
    role: Role
    hash: str
    created_at: float


class _File(BaseModel):
    tokens: tuple[Token, ...] = ()


class Tokens:
    """The file. It is reread after a change, so a revoked token is refused at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._tokens: dict[str, Token] = {}
        self._checked: dict[bytes, str] = {}

    def all(self) -> list[Token]:
        """All tokens. Raises MachineError if the file cannot be read."""
        with self._lock:
            self._refresh()
            return list(self._tokens.values())

    def holds(self, token: Token) -> bool:
        """Whether the token is still there, unchanged. False if the file cannot be read."""
        try:
            return token in self.all()
        except MachineError:
            return False

    def create(self, name: str, role: Role) -> str:
        """Create a token and return it. It is not stored and cannot be shown again."""
        made, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        token = Token(id=made, name=name, role=role, hash=HASHER.hash(secret), created_at=time.time())
        self._write([*self.all(), token])
        return f"xdp_{made}_{secret}"

    def revoke(self, which: str) -> bool:
        """Remove the token with this id. False if there is none."""
        tokens = self.all()
        left = [token for token in tokens if token.id != which]
        self._write(left)
        return len(left) < len(tokens)

    def check(self, text: str) -> Token | None:
        """The entry of this token; None if it is not valid."""
        digest = hashlib.sha256(text.encode()).digest()
        with self._lock:
            self._refresh()
            known = self._checked.get(digest)
            if known is not None:
                return self._tokens[known]
            parts = text.split("_", 2)
            token = self._tokens.get(parts[1]) if len(parts) == 3 and parts[0] == "xdp" else None  # noqa: PLR2004
        try:
            HASHER.verify(token.hash if token else NOBODY, parts[-1])
        except VerificationError:
            return None
        if token is not None:
            with self._lock:
                if self._tokens.get(token.id) == token:
                    self._checked[digest] = token.id
        return token

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
            if (found.st_ino, found.st_mtime_ns) == self._seen:
                return
            entries = _File.model_validate_json(self.path.read_bytes()).tokens
        except FileNotFoundError:
            self._seen, self._tokens, self._checked = None, {}, {}
            return
        except (OSError, ValidationError) as error:
            raise MachineError(
                f"the tokens in {self.path} cannot be read ({error}); repair or replace the file"
            ) from error
        self._seen = (found.st_ino, found.st_mtime_ns)
        self._tokens, self._checked = {token.id: token for token in entries}, {}

    def _write(self, tokens: list[Token]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        there = self.path.exists()
        owner = (self.path if there else self.path.parent).stat()  # root creates tokens for the api's user
        mode = owner.st_mode & 0o777 if there else 0o600
        text = _File(tokens=tuple(tokens)).model_dump_json(indent=2)
        write_whole(self.path, text, mode=mode, user=owner.st_uid, group=owner.st_gid)


class Limiter:
    """Counts refused tokens per address: after ``FAILURES`` in ``WINDOW_S`` the address must wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: dict[str, list[float]] = {}

    def wait_s(self, address: str) -> float:
        """How long the address must wait; 0 if it need not."""
        with self._lock:
            recent = self._recent(address)
            return WINDOW_S - (time.monotonic() - recent[-FAILURES]) if len(recent) >= FAILURES else 0.0

    def failed(self, address: str) -> None:
        """Count a refused token."""
        with self._lock:
            if len(self._failures) >= MAX_ADDRESSES:
                self._failures.pop(next(iter(self._failures)))
            self._failures[address] = [*self._recent(address), time.monotonic()]

    def _recent(self, address: str) -> list[float]:
        since = time.monotonic() - WINDOW_S
        return [moment for moment in self._failures.get(address, []) if moment > since]
