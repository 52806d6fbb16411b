"""An example for every answer in the OpenAPI document, by the name of its object."""

from __future__ import annotations

from typing import Any

from appliance.settings.transfer import Transfer

AT = 1_795_000_000.0
CAPTURE_ID = "0123456789abcdef"

SETTINGS = Transfer.model_validate(
    {"source": "80", "target": "198.19.0.2:8080", "multiplier": 3, "sample_percent": 50}
).model_dump(mode="json")
TRANSFER = {
    "id": "shop",
    "slot": 0,
    "version": 2,
    "state": "running",
    "paused": False,
    "settings": SETTINGS,
    "next_hop": "02:00:00:00:00:02",
    "forecast": "the mirrored clients' own addresses; 64,512 ports: 21,504 connections of one client at once",
}
CAPTURE = {
    "id": CAPTURE_ID,
    "name": "monday.pcapng",
    "bytes": 7_340_032,
    "sha256": "ab" * 32,
    "format": "pcapng",
    "link": "Ethernet",
    "frames": 21_034,
    "cut_frames": 0,
    "first_at": AT - 3600,
    "last_at": AT - 3480.5,
    "duration_s": 119.5,
    "truncated": False,
    "trouble": "",
    "uploaded_at": AT,
    "uploaded_by": "me",
}
REPLAY = {
    "id": "monday",
    "state": "running",
    "reason": "",
    "options": {
        "captures": [CAPTURE_ID],
        "transfers": ["shop"],
        "settings": [],
        "speed": 2.0,
        "idle_ms": None,
        "repeats": 1,
        "fast": False,
    },
    "requested_at": AT,
    "started_at": AT + 0.4,
    "ended_at": None,
    "progress": {
        "percent": 25.1,
        "frames": 5_301,
        "bytes": 1_848_117,
        "bytes_total": 7_340_032,
        "position_s": 30.0,
        "late_s": 0.0,
        "repeat": 0,
        "repeats": 1,
        "running_s": 15.0,
        "rest_s": 44.75,
        "ends_at": AT + 60.15,
        "sessions_live": 12,
        "sessions_opened": 140,
        "requests": 1_204,
        "answer_bytes": 1_502_118,
    },
    "closes": None,
    "summary": [],
}
TIMES = {
    "count": 3,
    "sum_s": 0.0061,
    "p50_s": 0.0018,
    "p90_s": 0.0026,
    "p99_s": 0.0026,
    "p999_s": 0.0026,
    "max_s": 0.0026,
    "buckets": [[0.0018, 2], [0.0027, 1]],
}
COUNTS = {"sessions_live": 12, "sessions_opened": 140, "turns_sent": 1_204}
SESSION = {
    "id": "0.17.1a2b3c",
    "transfer": "shop",
    "worker": 0,
    "state": "established",
    "waits": "answer",
    "client": "198.18.0.10:40000",
    "server": "198.18.0.1:80",
    "forged": "198.18.0.10:40000",
    "target": "198.19.0.2:8080",
    "age_s": 2.5,
    "idle_s": 0.01,
    "turns": 4,
    "request_bytes": 380,
    "pending_bytes": 0,
    "answer_bytes": 4_211,
    "retransmits": 0,
    "rtt_ms": 0.21,
}
PORT = {
    "role": "test",
    "device": "test0",
    "driver": "ice",
    "xdp": "native",
    "refusal": "",
    "mtu": 1500,
    "queues": [{"queue": 0, "worker": 0, "mode": "zerocopy", "lost": 0}],
    "xdp_counts": {"redirected": 40_112},
}
ENTRY = {
    "at": AT,
    "who": "me (3f2a)",
    "role": "operator",
    "address": "127.0.0.1",
    "method": "POST",
    "path": "/api/v1/transfers/shop/pause",
    "before": {**TRANSFER, "version": 1},
    "after": {**TRANSFER, "state": "paused", "paused": True},
    "status": 200,
}

ANSWERS: dict[str, Any] = {
    "Applied": {"transfer": TRANSFER, "changed": True, "sessions_reset": 0, "unconfirmed": 0, "took_ms": 3.2},
    "Capture": CAPTURE,
    "Captures": {
        "items": [CAPTURE],
        "bytes": CAPTURE["bytes"],
        "max_bytes": 1 << 30,
        "total_bytes": 10 << 30,
    },
    "Counters": {
        "schema_version": "1a2b3c4d",
        "at": AT,
        "totals": COUNTS,
        "workers": [COUNTS],
        "transfers": {"shop": COUNTS},
    },
    "Emergency": {"armed": False, "sessions_reset": 12, "unconfirmed": 0, "took_ms": 54.1},
    "Examination": {
        "state": "done",
        "probed": True,
        "listen_s": 5.0,
        "started_at": AT,
        "ended_at": AT + 6.2,
        "healthy": False,
        "reason": "",
        "findings": [
            {"id": "kernel", "verdict": "ok", "result": "Linux 6.12.9", "cause": "", "cure": ""},
            {
                "id": "answer",
                "verdict": "fault",
                "result": "80-198.19.0.2:8080: 198.19.0.2:8080 answered a SYN with RST",
                "cause": "nothing listens there, or another host has the address",
                "cure": "start the server under test",
            },
        ],
    },
    "Health": {"api": "up", "engine": "up"},
    "Holder": {"id": "3f2a", "name": "me", "role": "operator"},
    "Latency": {"target": {"shop": TIMES}, "production": {"shop": TIMES}},
    "Ledger": {"closes": True, "ledger": {"closes": True, "seconds": 119.6, "ends": {"complete": 140}}},
    "Protocols": {"connections": {"http1": 139, "tls": 1}},
    "Replay": REPLAY,
    "Replays": {"items": [REPLAY]},
    "SessionStatus": SESSION,
    "Sessions": {"items": [SESSION], "truncated": False},
    "SessionsSummary": {
        "looked_at": 12,
        "truncated": False,
        "states": {"established": 12},
        "waits": {"answer": 2, "production": 10},
    },
    "Status": {
        "version": "0.1.0",
        "pid": 4211,
        "started_at": AT - 86_400,
        "uptime_s": 86_400.0,
        "armed": True,
        "healthy": True,
        "workers": 1,
        "transfers": 1,
        "ports": [PORT],
        "stats": "/run/xdpcopy/stats",
        "warnings": [],
        "aside": "",
    },
    "TransferStatus": TRANSFER,
    "Transfers": {"version": 5, "items": [TRANSFER]},
    "Workers": {"items": [{"worker": 0, "cpu": 3, "cpu_s": 1_204.5, "beat_age_s": 0.02}]},
}
LISTS: dict[str, Any] = {"Entry": [ENTRY]}
TEXTS = {
    "text/event-stream": {"event": "counters", "data": '{"schema_version":"1a2b3c4d","totals":{…}}'},
    "text/plain": "# HELP xdpcopy_engine_up Whether the engine answers.\n"
    "# TYPE xdpcopy_engine_up gauge\nxdpcopy_engine_up 1.0\n",
}


def add(document: dict[str, Any]) -> None:
    """Add an example to every successful answer."""
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    if status.startswith("2"):
                        content["example"] = _example(kind, content["schema"])


def _example(kind: str, schema: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    if kind in TEXTS:
        return TEXTS[kind]
    if schema.get("type") == "array":
        return LISTS[schema["items"]["$ref"].rpartition("/")[2]]
    return ANSWERS[schema["$ref"].rpartition("/")[2]]
