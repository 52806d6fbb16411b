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

from typing import TYPE_CHECKING, Any

from appliance.contract import appliance, doctor, observed, replays, transfers

if TYPE_CHECKING:
    from appliance.contract.base import Request

MAX_LINE = 1 << 20

CALLS: tuple[type[Request[Any]], ...] = (
    appliance.GetStatus,
    appliance.GetWorkers,
    appliance.Stop,
    appliance.Arm,
    transfers.ListTransfers,
    transfers.GetTransfer,
    transfers.CreateTransfer,
    transfers.ReplaceTransfer,
    transfers.PauseTransfer,
    transfers.ResumeTransfer,
    transfers.DeleteTransfer,
    observed.GetCounters,
    observed.GetLedger,
    observed.GetLatency,
    observed.GetProtocols,
    observed.ListSessions,
    observed.GetSession,
    replays.StartReplay,
    replays.ListReplays,
    replays.GetReplay,
    replays.GetReplayLedger,
    replays.PauseReplay,
    replays.ResumeReplay,
    replays.CancelReplay,
    replays.DeleteReplay,
    doctor.StartExamination,
    doctor.GetExamination,
)
REQUESTS = {kind.call: kind for kind in CALLS}
