"""The form of a pipeline: its parameters' JSON schema, as fields."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

JSON = Any
Schema = Mapping[str, JSON]
Control = Literal["text", "number", "check", "choice", "lines"]

# So many fields are in view; of a longer form the rest is folded.
MOST_IN_VIEW = 4
# A text of this many letters has no room in one line.
_LONG_LETTERS = 80
_LIMITS = {
    "minimum": "least",
    "exclusiveMinimum": "more",
    "maximum": "most",
    "exclusiveMaximum": "less",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """A parameter as a field. `kind` is the type of its value, `value` its default as text.

    `bounds` are attributes of the control; `limits` are keys of words and their numbers.
    """

    name: str
    label: str
    kind: str
    control: Control
    value: str
    help: str
    required: bool
    advanced: bool
    bounds: Mapping[str, str]
    limits: tuple[tuple[str, str], ...]
    choices: tuple[str, ...] = ()


def fields_of(schema: Schema) -> list[Field]:
    """The fields of a pipeline's parameters, in the order in which they are written."""
    definitions = schema.get("$defs", {})
    required = set(schema.get("required", ()))
    properties: Schema = schema.get("properties", {})
    found = []
    for number, (name, one) in enumerate(properties.items()):
        needed = name in required
        folded = bool(one.get("advanced", number >= MOST_IN_VIEW)) and not needed
        found.append(_field(name, one, definitions, required=needed, advanced=folded))
    return found


def _field(
    name: str, schema: Schema, definitions: Schema, *, required: bool, advanced: bool
) -> Field:
    kinds = _kinds(schema, definitions)
    kind = _kind(kinds)
    plain = kinds[0] if kinds else {}
    choices = tuple(_text(one) for of in kinds for one in _choices(of))
    value = "" if required else _text(schema.get("default"))
    return Field(
        name=name,
        label=name.replace("_", " ").capitalize(),
        kind=kind,
        control=_control(kind, value, choices),
        value=value,
        help=schema.get("description", ""),
        required=required,
        advanced=advanced,
        bounds=_bounds(kind, plain),
        limits=tuple(
            (word, f"{plain[key]:g}")
            for key, word in _LIMITS.items()
            if kind in {"integer", "number"} and isinstance(plain.get(key), int | float)
        ),
        choices=choices if len(choices) == len(set(choices)) else (),
    )


def _kinds(schema: Schema, definitions: Schema) -> list[Schema]:
    """The alternatives that a schema allows, references followed; being nothing is not one."""
    if "$ref" in schema:
        return _kinds(definitions.get(schema["$ref"].rsplit("/", 1)[-1], {}), definitions)
    several = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    kinds = [kind for one in several or () for kind in _kinds(one, definitions)] or [schema]
    return [kind for kind in kinds if kind.get("type") != "null"]


def _kind(kinds: list[Schema]) -> str:
    """What the values are; sizes are texts that people write, and so is what may be several."""
    names = {str(one.get("type", "any")) for one in kinds}
    if any(one.get("format") == "bytes" for one in kinds):
        return "string"
    return names.pop() if len(names) == 1 else "string" if "string" in names else "any"


def _choices(schema: Schema) -> tuple[JSON, ...]:
    return (schema["const"],) if "const" in schema else tuple(schema.get("enum", ()))


def _control(kind: str, value: str, choices: tuple[str, ...]) -> Control:
    if choices:
        return "choice"
    if kind == "boolean":
        return "check"
    if kind in {"integer", "number"}:
        return "number"
    is_long = len(value) > _LONG_LETTERS or "\n" in value
    return "lines" if is_long or kind in {"array", "object", "any"} else "text"


def _bounds(kind: str, schema: Schema) -> dict[str, str]:
    found = {}
    if kind in {"integer", "number"}:
        found["step"] = "1" if kind == "integer" else "any"
        found |= {
            word: str(schema[key])
            for key, word in (("minimum", "min"), ("maximum", "max"))
            if key in schema
        }
    if "maxLength" in schema:
        found["maxlength"] = str(schema["maxLength"])
    return found


def _text(value: JSON) -> str:
    if value is None or value in ([], {}):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
