"""Every call of the control socket, and what travels on it.

A request and its answer are one line of JSON each, on a Unix stream socket:

    {"id": 1, "call": "transfers.pause", "with": {"transfer": "shop"}}
    {"id": 1, "result": {…}}
    {"id": 1, "error": {"kind": "not_found", "message": "…", "problems": []}}

``call`` is the class variable of the request, ``with`` its fields, ``result`` the fields of its ``answer``.
Answers come in the order of the requests. Times are seconds; moments are seconds since 1970 (``…_at``).
Both ends are of one version, because the api restarts with the engine's package. The engine refuses a field
that it does not know; the client ignores one.
"""

from __future__ import annotations

from typing import Any

from appliance.contract import appliance, doctor, observed, replays, transfers
from appliance.contract.base import Request

MAX_LINE = 1 << 20

MODULES = (appliance, transfers, observed, replays, doctor)
REQUESTS: dict[str, type[Request[Any]]] = {
    kind.call: kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Request) and hasattr(kind, "call")
}
