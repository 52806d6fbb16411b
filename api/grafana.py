"""The Grafana dashboard, ``configs/grafana/xdpcopy.json``, which ``api.reference`` writes.

Its drop and end reasons come from the dataplane's declarations, so none is missing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from appliance.engine.stats import MEANINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Panel = dict[str, Any]
Steps = tuple[tuple[str, int | None], ...]

WIDTH = 24  # columns of Grafana's grid
SOURCE = {"type": "prometheus", "uid": "${source}"}
RATE = "[$__rate_interval]"
OF_TRANSFERS = '{transfer=~"$transfer"}'
STATES = ("Engine", "xdpcopy_engine_up"), ("Armed", "xdpcopy_armed"), ("Workers alive", "xdpcopy_healthy")


def dashboard() -> str:
    """The dashboard as JSON."""
    made = {
        "uid": "xdpcopy",
        "title": "xdpcopy",
        "tags": ["xdpcopy"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source(), _transfers()]},
        "panels": list(_placed([_states(), *_graphs()])),
    }
    return json.dumps(made, indent=1) + "\n"


def _states() -> list[Panel]:
    return [
        *(_stat(title, f"min({metric})", (("red", None), ("green", 1))) for title, metric in STATES),
        _stat("Sessions", "sum(xdpcopy_sessions_live)"),
        _stat("Requests/s", f"sum(rate(xdpcopy_turns_sent_total{RATE}))"),
        _stat("Mirrored frames/s", f"sum(rate(xdpcopy_mirror_frames_total{RATE}))"),
    ]


def _graphs() -> list[list[Panel]]:
    live = {"{{transfer}}": f"xdpcopy_transfer_sessions_live{OF_TRANSFERS}"}
    lost = {"{{device}}": f"rate(xdpcopy_port_lost_frames_total{RATE})"}
    held = {"connections": "xdpcopy_connections_live", "buffers": "xdpcopy_buffers_used"}
    return [
        [
            _graph("Frames", "pps", _rates(("mirror_frames", "sent_frames", "test_frames", "retransmits"))),
            _graph("Requests of each transfer", "reqps", _by_transfer("turns_sent")),
        ],
        [
            _graph("Answer times", "s", _answer_times()),
            _graph("Sessions of each transfer", "short", live),
        ],
        [
            _graph("How sessions end", "ops", _reasons("end_", transfer=True)),
            _graph("Frames lost at the ports", "pps", lost),
        ],
        [
            _graph("Mirrored frames not used", "pps", _reasons("drop_mirror_")),
            _graph("Target's frames not used", "pps", _reasons("drop_test_")),
        ],
        [
            _graph("Bytes", "Bps", _rates(("request_bytes_acked", "answer_bytes"))),
            _graph("Held", "short", held),
        ],
    ]


def _placed(rows: Iterable[list[Panel]]) -> Iterable[Panel]:
    top = number = 0
    for row in rows:
        height = 4 if row[0]["type"] == "stat" else 8
        for column, panel in enumerate(row):
            number += 1
            width = WIDTH // len(row)
            yield {"id": number, "gridPos": {"x": column * width, "y": top, "w": width, "h": height}, **panel}
        top += height


def _stat(title: str, query: str, steps: Steps = (("green", None),)) -> Panel:
    thresholds = {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}
    return {
        "type": "stat",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"thresholds": thresholds, "unit": "short"}, "overrides": []},
        "targets": _targets({title: query}),
    }


def _graph(title: str, unit: str, queries: Mapping[str, str]) -> Panel:
    return {
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "custom": {"showPoints": "never"}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": _targets(queries),
    }


def _targets(queries: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"refId": f"Q{number}", "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for number, (legend, query) in enumerate(queries.items())
    ]


def _rates(names: Iterable[str]) -> dict[str, str]:
    return {name: f"sum(rate(xdpcopy_{name}_total{RATE}))" for name in names}


def _by_transfer(name: str) -> dict[str, str]:
    return {"{{transfer}}": f"sum by (transfer) (rate(xdpcopy_transfer_{name}_total{OF_TRANSFERS}{RATE}))"}


def _reasons(prefix: str, *, transfer: bool = False) -> dict[str, str]:
    """One line per reason that has occurred."""
    scope, labels = ("transfer_", OF_TRANSFERS) if transfer else ("", "")
    names = (name for name in MEANINGS if name.startswith(prefix))
    return {
        name.removeprefix(prefix): f"sum(rate(xdpcopy_{scope}{name}_total{labels}{RATE})) > 0"
        for name in names
    }


def _answer_times() -> dict[str, str]:
    return {
        f"{side} {part}": f"histogram_quantile({share}, sum by (le)"
        f" (rate(xdpcopy_{side}_answer_seconds_bucket{OF_TRANSFERS}{RATE})))"
        for side in ("production", "target")
        for part, share in (("p50", 0.5), ("p99", 0.99))
    }


def _source() -> dict[str, Any]:
    return {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _transfers() -> dict[str, Any]:
    return {
        "name": "transfer",
        "type": "query",
        "label": "Transfer",
        "datasource": SOURCE,
        "query": "label_values(xdpcopy_transfer_sessions_live, transfer)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
