"""A pipeline's parameters: described for people, read from a command line, checked."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import ErrorDetails

from grange.errors import ParameterInvalid, PipelineInvalid
from grange.pipelines.base import Parameters, Pipeline

JSON = Any
Schema = Mapping[str, JSON]

# The most that NAME=@file reads: a parameter is kept with the run and travels with its tasks.
FILE_LIMIT_BYTES: Final = 1024 * 1024

# The most that a message shows of a value.
_SHOWN_LETTERS: Final = 60

# Errors that a pipeline's own validators raise.
_OWN_CHECKS: Final = frozenset({"value_error", "assertion_error"})

_TYPE_WORDS: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "table",
}

_LIMIT_WORDS: Final = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} letters",
    "maxLength": "at most {} letters",
    "pattern": "matching {}",
    "minItems": "at least {} entries",
    "maxItems": "at most {} entries",
}


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """A parameter, in words; `default` is plain data, and means nothing where it is `required`."""

    name: str
    type: str
    default: JSON
    required: bool
    help: str
    limits: str = ""
    choices: tuple[JSON, ...] = ()

    @property
    def allowed(self) -> str:
        """What may be given for it."""
        return ", ".join(words for words in (self.type, self.limits) if words)


def describe(pipeline: Pipeline[Any]) -> list[ParameterInfo]:
    """The parameters of a pipeline, in the order in which they are written."""
    return describe_schema(_schema(pipeline))


def describe_schema(schema: Schema) -> list[ParameterInfo]:
    """The parameters that a JSON schema has, which a pipeline elsewhere may have made."""
    required = set(schema.get("required", ()))
    definitions = schema.get("$defs", {})
    return [
        _info(name, one, definitions, required=name in required)
        for name, one in schema.get("properties", {}).items()
    ]


def check_params(
    pipeline: Pipeline[Any], values: Mapping[str, object], *, cwd: Path | None = None
) -> Parameters:
    """The values as the pipeline's own typed parameters.

    Checking what `model_dump(mode="json")` gives of the answer gives an equal answer.

    Args:
        pipeline: Whose parameters they are.
        values: Typed values, or texts where the type can be told from a text.
        cwd: The folder where somebody asked for the run; this process's own by default.

    Raises:
        ParameterInvalid: Says of each refused parameter what was given and what is allowed.
        PipelineInvalid: The pipeline's own checks broke down.
    """
    try:
        checked: Parameters = pipeline.Parameters.model_validate(dict(values), context={"cwd": cwd})
    except ValidationError as error:
        raise _refusal(pipeline, _refused_lines(pipeline, values, error)) from None
    except Exception as error:
        raise PipelineInvalid(
            f"the parameters of pipeline {pipeline.name} can't be checked: "
            f"{type(error).__name__}: {error}"
        ) from error
    return checked


def parse_settings(
    pipeline: Pipeline[Any], settings: Sequence[str], *, cwd: Path | None = None
) -> dict[str, JSON]:
    """The values that `NAME=VALUE` texts of a command line mean; to be checked by `check_params`.

    Lists and tables are written as JSON, everything else as it is.
    `NAME=@FILE` takes the value from a text file, without its last line end;
    `NAME=@@…` is a value that begins with one `@`.

    Raises:
        ParameterInvalid: A text has no name, a name comes twice, a file can't be read.
    """
    fields = _schema(pipeline).get("properties", {})
    values: dict[str, JSON] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise _refusal(pipeline, [f"{_shown(setting)} is not of the form NAME=VALUE"])
        if name in values:
            raise _refusal(pipeline, [f"{name} is given twice"])
        text = _from_file(pipeline, name, text, cwd or Path.cwd())
        values[name] = _typed(pipeline, name, text, fields.get(name, {"type": "string"}))
    return values


# ---- descriptions


def _schema(pipeline: Pipeline[Any]) -> Schema:
    try:
        schema: Schema = pipeline.Parameters.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        raise PipelineInvalid(
            f"a parameter of pipeline {pipeline.name} has a type that is no plain data: {error}"
        ) from error
    return schema


def _info(name: str, schema: Schema, definitions: Schema, *, required: bool) -> ParameterInfo:
    kinds = _kinds(schema, definitions)
    choices = tuple(choice for kind in kinds for choice in _choices(kind))
    limits = [
        words.format(kind[key])
        for kind in kinds
        for key, words in _LIMIT_WORDS.items()
        if key in kind and not (key == "minimum" and kind.get("format") == "bytes")
    ]
    return ParameterInfo(
        name=name,
        type=" or ".join(dict.fromkeys(_type_words(kind, definitions) for kind in kinds)),
        default=schema.get("default"),
        required=required,
        help=schema.get("description", ""),
        limits=", ".join(limits),
        choices=choices,
    )


def _kinds(schema: Schema, definitions: Schema) -> list[Schema]:
    """The alternatives that a schema allows, references followed; being nothing is not one."""
    if "$ref" in schema:
        return _kinds(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    several = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if not several:
        return [schema]
    kinds = [kind for one in several for kind in _kinds(one, definitions)]
    return [kind for kind in kinds if kind.get("type") != "null"]


def _choices(schema: Schema) -> tuple[JSON, ...]:
    return (schema["const"],) if "const" in schema else tuple(schema.get("enum", ()))


def _type_words(schema: Schema, definitions: Schema) -> str:
    if choices := _choices(schema):
        return "one of " + ", ".join(map(str, choices)) if len(choices) > 1 else str(choices[0])
    if schema.get("format") == "bytes":
        return "size (such as 500MB or 2GiB)"
    if schema.get("format") in {"path", "file-path", "directory-path"}:
        return "path"
    kind = schema.get("type", "")
    inner = schema.get("items" if kind == "array" else "additionalProperties")
    if not isinstance(inner, Mapping) or not inner:
        return "list" if kind == "array" else _TYPE_WORDS.get(kind, "any value")
    words = " or ".join(_type_words(one, definitions) for one in _kinds(inner, definitions))
    return f"list of {words}" if kind == "array" else f"table of {words}"


# ---- a command line's texts


def _from_file(pipeline: Pipeline[Any], name: str, text: str, cwd: Path) -> str:
    if text.startswith("@@") or not text.startswith("@"):
        return text.removeprefix("@") if text.startswith("@@") else text
    file = cwd / Path(text[1:]).expanduser()
    try:
        with file.open("rb") as source:
            content = source.read(FILE_LIMIT_BYTES + 1)
        if len(content) <= FILE_LIMIT_BYTES:
            return content.decode().removesuffix("\n").removesuffix("\r")
        problem = f"is larger than {FILE_LIMIT_BYTES // 1024} KiB"
    except UnicodeDecodeError:
        problem = "is no UTF-8 text"
    except OSError as error:
        problem = f"can't be read: {error.strerror}"
    raise _refusal(pipeline, [f"{name} = {_shown(text)}: the file {problem}"])


def _typed(pipeline: Pipeline[Any], name: str, text: str, schema: Schema) -> JSON:
    definitions = _schema(pipeline).get("$defs", {})
    kinds = {kind.get("type", "any") for kind in _kinds(schema, definitions)}
    nullable = any(one.get("type") == "null" for one in schema.get("anyOf", ()))
    if nullable and "string" not in kinds and text in {"none", "null"}:
        return None
    opening = {"[": "array", "{": "object"}.get(text.lstrip()[:1])
    if opening is None or not kinds & {opening, "any"}:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        # A text is welcome here too, and may well begin like this.
        if "string" in kinds:
            return text
        raise _refusal(pipeline, [f"{name} = {_shown(text)}: is no JSON: {error}"]) from None


# ---- refusals


def _refusal(pipeline: Pipeline[Any], lines: Sequence[str]) -> ParameterInvalid:
    told = lines[0] if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)
    return ParameterInvalid(
        f"parameters of pipeline {pipeline.name}: {told}".replace(": \n", ":\n"),
        hint=f"See: grange pipelines show {pipeline.name}",
    )


def _refused_lines(
    pipeline: Pipeline[Any], values: Mapping[str, object], error: ValidationError
) -> list[str]:
    known = {info.name: info for info in describe(pipeline)}
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        # A value that fits none of several types is refused once for each; one line is enough.
        lines.setdefault(name, "; ".join(_words(name, detail, known, values)))
    return list(lines.values())


def _words(
    name: str,
    detail: ErrorDetails,
    known: Mapping[str, ParameterInfo],
    values: Mapping[str, object],
) -> Iterator[str]:
    if detail["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, known, n=1)
        yield f"{name} is unknown"
        yield f"did you mean {close[0]}?" if close else f"known are {', '.join(known) or 'none'}"
        return
    if detail["type"] == "missing":
        yield f"{name} is needed"
    elif name in values:
        yield f"{name} = {_shown(values[name])}: {_reason(detail)}"
    else:
        yield f"{name}: {_reason(detail)}".removeprefix(": ")
    # A pipeline's own check has said it better than the type can.
    if name in known and detail["type"] not in _OWN_CHECKS:
        yield f"allowed: {known[name].allowed}"


def _reason(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should be", "should be", 1).rstrip(".")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]}…"
