"""What all models of settings have in common: the base class, and the types that several of them use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dataplane.binding import MAX_STATS_PATH

MAX_U32 = (1 << 32) - 1
MAX_SECONDS = 1_000_000.0


class Model(BaseModel):
    """Settings are immutable, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=False)


def _path(value: Path) -> Path:
    if not value.is_absolute() or len(str(value).encode()) > MAX_STATS_PATH:
        raise ValueError(f"'{value}' cannot be used; give an absolute path of at most {MAX_STATS_PATH} bytes")
    return value


AbsolutePath = Annotated[Path, AfterValidator(_path)]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
