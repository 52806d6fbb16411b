"""Pages of docs/ that follow from the code; ``api.reference`` writes them.

That of the settings comes from the models, that of the counters from the dataplane's declarations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.settings.config import Config
from dataplane.binding import COUNTERS, TRANSFER_COUNTERS, CounterKind

if TYPE_CHECKING:
    from collections.abc import Sequence

Schema = dict[str, Any]

CONFIGURATION_HEAD = """\
# Configuration

One YAML file, read by `xdpcopy run --config FILE` and checked by `xdpcopy config check FILE`.
`configs/minimal.yaml` holds what is needed, `configs/full.yaml` every setting with its default.
Units are part of the names. A setting that does not exist is an error, as is one that is written twice.

*This page is written by `make docs` from the models in `appliance/settings`.*
"""

COUNTERS_HEAD = """\
# Counters

Read them with `xdpcopy counters`. Each is declared once, in `dataplane/src/observe/stats.def`; which of them
must add up to what is in `appliance/engine/ledger.py`.

*This page is written by `make docs`.*
"""

PER_TRANSFER = """\
Of the counters above these are kept for each transfer too, as are the `end_…` counters; and
two histograms of the time from the last byte of a request to the first of its answer: the target's, and
production's where both directions are mirrored. Their buckets are an eighth of their time wide at most.

"""

COUNTER_SECTIONS = (
    ("Counters", CounterKind.COUNTER),
    ("Gauges", CounterKind.GAUGE),
    ("Why frames of mirror ports were not used", CounterKind.DROP_MIRROR),
    ("Why frames of the test port were not used", CounterKind.DROP_TEST),
    ("Why sessions ended", CounterKind.SESSION_END),
)


def pages() -> dict[str, str]:
    """Each generated page: name of the file and text."""
    return {"configuration.md": configuration(), "counters.md": counters()}


def configuration() -> str:
    """The reference of all settings."""
    schema = Config.model_json_schema()
    parts = [CONFIGURATION_HEAD, _section("Top level", schema, schema)]
    for name, field in schema["properties"].items():
        inner = _model(field, schema)
        if inner is not None:
            title = f"`{name}`: a list, each with" if field.get("type") == "array" else f"`{name}`"
            parts.append(_section(title, inner, schema))
    return "\n".join(parts)


def counters() -> str:
    """The reference of all counters."""
    parts = [COUNTERS_HEAD]
    for title, kind in COUNTER_SECTIONS:
        rows = [(f"`{c.name}`", c.unit, c.help) for c in COUNTERS if c.kind is kind]
        parts.append(f"## {title}\n\n" + table(("counter", "unit", "meaning"), rows))
    rows = [
        (f"`{c.name}`", c.unit, c.help) for c in TRANSFER_COUNTERS if c.kind is not CounterKind.SESSION_END
    ]
    parts.append("## For each transfer\n\n" + PER_TRANSFER + table(("counter", "unit", "meaning"), rows))
    return "\n".join(parts)


def _section(title: str, model: Schema, schema: Schema) -> str:
    needed = model.get("required", [])
    rows = [
        (f"`{name}`", _kind(field, schema), _default(name, field, needed), _about(field, schema))
        for name, field in model["properties"].items()
    ]
    about = "" if model is schema else f"{_about(model, schema)}\n\n"
    return f"## {title}\n\n{about}" + table(("setting", "value", "default", "meaning"), rows)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def _resolve(field: Schema, schema: Schema) -> Schema:
    reference = field.get("$ref")
    found: Schema = schema["$defs"][reference.rpartition("/")[2]] if reference else field
    return found


def _about(field: Schema, schema: Schema) -> str:
    described = field if "description" in field else _resolve(field, schema)
    text: str = described["description"]
    return text.replace("``", "`")


def _model(field: Schema, schema: Schema) -> Schema | None:
    """The model whose settings stand under a field, if it is a block or a list of blocks."""
    inner = _resolve(field.get("items", field), schema)
    return inner if "properties" in inner else None


def _kind(field: Schema, schema: Schema) -> str:
    field = {**field, **_resolve(field, schema)}
    if "anyOf" in field:
        alternatives = [one for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(_kind(one, schema) for one in alternatives))
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if "properties" in field:
        return "block, see below"
    if field.get("type") == "array":
        inner = _model(field, schema)
        return "list, see below" if inner else f"list of {_kind(field['items'], schema)}"
    return _scalar(field)


def _scalar(field: Schema) -> str:
    names = {"integer": "whole number", "number": "number", "boolean": "`true` or `false`", "string": "text"}
    name = "path" if field.get("format") == "path" else names[field["type"]]
    bounds = [
        f"{words} {field[key]}"
        for key, words in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
        if key in field
    ]
    return " ".join([name, *bounds])


def _default(name: str, field: Schema, needed: list[str]) -> str:
    if name in needed:
        return "needed"
    value = field.get("default")
    if value in (None, "", [], ()) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
