"""What a call into the dataplane that fails raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dataplane._dataplane import ffi, lib

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class DataplaneError(OSError):
    """A call into the dataplane failed; ``strerror`` is a sentence that names the cause."""


def checked(call: Callable[[Any, int], int]) -> None:
    """Calls with room for a sentence. Raises DataplaneError with that sentence if the call fails."""
    error = ffi.new("char[]", lib.DP_ERROR_SIZE)
    code = call(error, lib.DP_ERROR_SIZE)
    if code:
        raise DataplaneError(-code, ffi.string(error).decode(errors="replace"))
