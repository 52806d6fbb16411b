"""Writes the files of the project that follow from the code: ``python -m api.reference .``.

docs/rest.md comes from the OpenAPI document, the other pages from ``appliance.settings.reference``, the
dashboard from ``api.grafana``. A test compares all of them with what stands in the project.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.routing import iter_route_contexts

from api import grafana
from api.app import create_app
from api.context import ADMIN, OPERATOR, VIEWER
from api.errors import MEDIA_TYPE
from api.tokens import Role
from appliance.settings import reference
from appliance.settings.api import Api

if TYPE_CHECKING:
    from collections.abc import Iterable

Schema = dict[str, Any]

HEAD = """\
# REST

Every route of the api, at the address of the `api` section (`http://127.0.0.1:8600`).
[security.md](security.md) says how to get a token, [operation.md](operation.md) how to ask with curl.
`GET /api/v1/openapi.json` is the same for programs.

A request carries `Authorization: Bearer TOKEN`. What is refused is answered with `application/problem+json`
(RFC 9457): a title, a sentence with the cure, and a problem for each field.

*This page is written by `make docs` from the OpenAPI document.*
"""

ROLES = {id(depends.dependency): role for role, depends in zip(Role, (VIEWER, OPERATOR, ADMIN), strict=True)}
METHODS = ("get", "post", "patch", "put", "delete")


def files() -> dict[str, str]:
    """Each generated file: its path in the project, and its text."""
    pages = {**reference.pages(), "rest.md": rest()}
    return {
        **{f"docs/{name}": text for name, text in pages.items()},
        "configs/grafana/xdpcopy.json": grafana.dashboard(),
    }


def rest() -> str:
    """The reference of all routes and of the objects that they take and give."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        app = create_app(Api(tokens=place / "tokens", audit=place / "audit"), place / "socket")
        document = app.openapi()
    roles = {
        (route.path, method): _role(getattr(route, "dependencies", ()))
        for route in iter_route_contexts(app.routes)
        for method in route.methods or ()
    }
    rows, parts = [], []
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                operation, name = methods[method], f"{method.upper()} {path}"
                role = roles.get((path, method.upper()), "")
                summary = _plain(operation["description"]).partition("\n\n")[0]
                rows.append((f"[`{name}`](#{_anchor(name)})", role or "none", summary))
                parts.append(_route(name, operation, role))
    schemas = document["components"]["schemas"]
    objects = "\n".join(_object(name, schemas[name]) for name in sorted(schemas))
    routes = "## Routes\n\n" + reference.table(("route", "role", "what it does"), rows)
    return "\n".join([HEAD, routes, *parts, "## Objects\n", objects])


def _role(dependencies: Iterable[Any]) -> str:
    found = (ROLES.get(id(depends.dependency)) for depends in dependencies)
    return next((role.value for role in found if role), "")


def _route(name: str, operation: Schema, role: str) -> str:
    who = f"Role: {role}." if role else "Without a token."
    parts = [f"### `{name}`\n", f"{_plain(operation['description'])}\n", f"{who}\n"]
    parameters = [
        (
            f"`{each['name']}`",
            each["in"],
            _type(each["schema"]) + (", needed" if each.get("required") else ""),
            _plain(each.get("description", "")),
        )
        for each in operation.get("parameters", ())
    ]
    if parameters:
        parts.append(reference.table(("parameter", "in", "value", "meaning"), parameters))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        parts.append(f"Body: {_type(body['schema'])}.\n")
        examples = [json.dumps(example) for example in body["schema"].get("examples", ())]
        parts += [f"```json\n{example}\n```\n" for example in examples]
    answers, refusals = [], []
    for status, answer in sorted(operation["responses"].items()):
        if MEDIA_TYPE in answer.get("content", {}):
            refusals.append(status)
        else:
            answers.append((status, _answer(answer), _plain(answer["description"])))
    parts.append(reference.table(("status", "answer", "meaning"), answers))
    if refusals:
        parts.append(f"Refusals: {', '.join(refusals)}.\n")
    return "\n".join(parts)


def _answer(answer: Schema) -> str:
    return ", ".join(
        _type(content["schema"]) if "json" in kind else f"`{kind}`"
        for kind, content in answer.get("content", {}).items()
    )


def _object(name: str, schema: Schema) -> str:
    about = _plain(schema.get("description", ""))
    head = f"### {name}\n\n" + (f"{about}\n" if about else "")
    if "properties" not in schema:
        return f"{head}\nValue: {_type(schema)}.\n"
    rows = [
        (f"`{field}`", _type(value), _plain(value.get("description", "")))
        for field, value in schema["properties"].items()
    ]
    return f"{head}\n" + reference.table(("field", "value", "meaning"), rows)


def _type(schema: Schema) -> str:
    """In words; objects by a link to their section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    kind: str = schema.get("type", "anything")
    if kind == "array":
        several = [*schema.get("prefixItems", ()), *([schema["items"]] if schema.get("items") else [])]
        return "list of " + " and ".join(_type(one) for one in several)
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"object: name to {_type(inner)}" if isinstance(inner, dict) and inner else "object"
    names = {"integer": "whole number", "boolean": "true or false", "string": "text", "null": "null"}
    return names.get(kind, kind)


def _plain(text: str) -> str:
    return text.replace("``", "`")


def _anchor(heading: str) -> str:
    """As the site and GitHub make it of a heading."""
    kept = "".join(each for each in heading.lower() if each.isalnum() or each in " -_")
    return kept.replace(" ", "-")


def main(arguments: list[str]) -> int:
    """Write all files into the project, whose folder the one argument names."""
    if len(arguments) != 1:
        print("usage: python -m api.reference FOLDER", file=sys.stderr)
        return 2
    for name, text in files().items():
        Path(arguments[0], name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
