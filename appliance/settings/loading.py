"""Reads a YAML file into a Config, or raises a ConfigError whose sentences name field, value and cure."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from appliance.errors import ConfigError
from appliance.settings.config import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

PLAIN_WORDS = {
    "too_short": "must have at least one entry",
    "tuple_type": "must be a list",
    "model_type": "must be a block of 'name: value' settings",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
}


class _Loader(yaml.SafeLoader):
    """The safe subset of YAML; a key that is set twice is an error."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise yaml.constructor.ConstructorError(
                problem=f"'{key.value}' is set twice; remove one of them", problem_mark=key.start_mark
            )
        seen.add(str(key.value))
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path: Path) -> Config:
    """The configuration from a file. Raises ConfigError."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            f"cannot be read: {reason}; give the path of a YAML file", source=str(path)
        ) from error
    return parse(text, str(path))


def parse(text: str, source: str = "") -> Config:
    """The configuration from a YAML text. Raises ConfigError."""
    try:
        data = yaml.load(text, _Loader)  # noqa: S506 - derived from SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(_yaml_sentence(error, text), source=source) from error
    if not isinstance(data, dict):
        what = "is empty" if data is None else f"holds a {type(data).__name__}, not settings"
        raise ConfigError(f"{what}; configs/minimal.yaml shows what is required", source=source)
    return build(data, source)


def build(data: Mapping[str, Any], source: str = "") -> Config:
    """The configuration from settings that are already read. Raises ConfigError."""
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        raise ConfigError(*_sentences(error.errors()), source=source) from error


def _yaml_sentence(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if mark is None:
        return f"is not YAML: {problem}"
    lines = text.splitlines()
    shown = lines[mark.line].strip() if mark.line < len(lines) else ""
    bracket = ": [" in shown or "- [" in shown
    cure = "; quote an IPv6 address in brackets" if bracket else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}: '{shown}'{cure}"


def _sentences(errors: Iterable[ErrorDetails]) -> list[str]:
    """One sentence for each field, which joins the messages about its alternatives."""
    fields: dict[str, tuple[ErrorDetails, list[str]]] = {}
    for error in errors:
        path = _path(error["loc"])
        if error["type"] == "too_short" and any(other.startswith(path) for other in fields):
            continue  # the list is only empty because its entries are wrong, which is reported
        fields.setdefault(path, (error, []))[1].append(message(error))
    return [_sentence(path, error, messages) for path, (error, messages) in fields.items()]


def _sentence(path: str, error: ErrorDetails, messages: list[str]) -> str:
    kind = error["type"]
    model, field = _resolve(error["loc"])
    if kind == "value_error":
        return f"{path}: {messages[0]}" if path else messages[0]
    about = f" ({field.description})" if field is not None and field.description else ""
    if kind == "missing":
        return f"{path}: it is missing; add it{about}"
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        close = difflib.get_close_matches(name, model.model_fields, n=1)
        cure = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(model.model_fields)}"
        return f"{path}: there is no such setting; {cure}"
    return f"{path}: {error['input']!r} cannot be used; it {' or '.join(dict.fromkeys(messages))}{about}"


def message(error: ErrorDetails) -> str:
    """Pydantic's message as the end of a sentence."""
    if error["type"] == "value_error":
        return str(error.get("ctx", {}).get("error", error["msg"]))
    words = PLAIN_WORDS.get(error["type"]) or error["msg"]
    return words.removeprefix("Input ").replace("should", "must", 1).rstrip(".")


def _path(loc: tuple[int | str, ...]) -> str:
    """A location as ``mirror[0].device``, without the parts that name pydantic's alternatives."""
    path = ""
    for part in loc[: _depth(loc)]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _depth(loc: tuple[int | str, ...]) -> int:
    """How many parts of a location name fields; a final part that is no field is kept: it is misspelt."""
    model: type[BaseModel] | None = Config
    for index, part in enumerate(loc):
        if isinstance(part, int):
            continue
        if model is None:
            return index
        field = model.model_fields.get(part)
        model = _submodel(field.annotation) if field else None
    return len(loc)


def _resolve(loc: tuple[int | str, ...]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The innermost model of a location, and the field that it names there."""
    model: type[BaseModel] = Config
    field: FieldInfo | None = None
    for part in loc[: _depth(loc)]:
        if isinstance(part, int):
            continue
        inner = _submodel(field.annotation) if field else None
        model = inner or model
        field = model.model_fields.get(part)
    return model, field


def _submodel(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _submodel(inner))), None)
