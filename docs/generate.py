"""Make the reference pages from the code that they describe.

python docs/generate.py writes docs/reference/*.md; a test compares what is
committed with what this would write, so that no page tells an old story.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made by docs/generate.py from the code: change it there. -->"

# Public names that can't carry a docstring.
PLAIN = {
    "Bytes": "The type of a parameter that is a number of bytes; a text such as `500MB` or `2GiB` "
    "is taken too.",
    "__version__": "The version of Grange, as a text.",
}

# The API's operations in the order in which people ask for them; other tags follow.
TAGS = (
    "session",
    "runs",
    "items",
    "outputs",
    "events",
    "pipelines",
    "models",
    "uploads",
    "folders",
    "shares",
    "users",
    "groups",
    "tokens",
    "audit",
    "system",
    "set-up",
)

# How JSON's types are called.
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
}

# Longer ones have a line for each argument.
LONGEST_SIGNATURE = 90


def main() -> None:
    """Write the pages."""
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages().items():
        (REFERENCE / name).write_text(text)


def pages() -> dict[str, str]:
    """Return each page's text by its file name."""
    makers = {
        "cli.md": _cli,
        "settings.md": _settings,
        "api.md": _api,
        "http.md": _http,
        "errors.md": _errors,
        "metrics.md": _metrics,
    }
    return {name: "\n".join([NOTE, "", *maker()]).rstrip() + "\n" for name, maker in makers.items()}


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command of the command line by its full name, groups included."""
    import typer.main

    from grange.cli.main import app

    yield from _walk("grange", typer.main.get_command(app))


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # typer's own type
    yield name, command
    for child, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _walk(f"{name} {child}", below)


def _cli() -> Iterator[str]:
    yield "# Command line"
    yield ""
    yield "Every command takes `--help`."
    yield ""
    yield from _exit_codes()
    for name, command in commands():
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [
            one
            for one in command.params
            if one.param_type_name == "option" and not one.hidden and one.name != "help"
        ]
        yield f"## {name}"
        yield ""
        yield _paragraphs(command.help)
        yield ""
        yield f"    {_usage(name, command, arguments)}"
        yield ""
        named = [(_metavar(one), one.help or "") for one in arguments]
        yield from _table(("argument", "is"), named)
        yield from _table(("option", "does", "default"), [_option(one) for one in options])


def _exit_codes() -> Iterator[str]:
    from grange.cli.exits import EXITS

    yield "## Exit codes"
    yield ""
    yield from _table(("code", "means"), [(f"`{code}`", words) for code, words in EXITS.items()])


def _usage(name: str, command: Any, arguments: list[Any]) -> str:  # noqa: ANN401  # typer's own type
    if getattr(command, "commands", None):
        return f"{name} [OPTIONS] COMMAND …"
    words = [_metavar(one, bare=True) for one in arguments]
    return " ".join([name, "[OPTIONS]", *words])


def _metavar(argument: Any, *, bare: bool = False) -> str:  # noqa: ANN401  # typer's own type
    word = argument.metavar or argument.name.upper()
    if argument.nargs == -1:
        word = f"{word}…"
    if not argument.required:
        word = f"[{word}]"
    return word if bare else f"`{word}`"


def _option(option: Any) -> tuple[str, str, str]:  # noqa: ANN401  # typer's own type
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    if not option.is_flag and not getattr(option, "count", False):
        names += f" {option.metavar or option.type.name.upper()}"
    default = option.default
    if default in (None, "", []) or callable(default) or option.is_flag:
        return names, option.help or "", ""
    return names, option.help or "", f"`{default}`"


def _settings() -> Iterator[str]:
    from grange import settings

    yield "# Settings"
    yield ""
    yield _paragraphs(inspect.cleandoc(settings.__doc__ or "").split("\n", 1)[-1])
    yield ""
    rows = [
        (f"`{one.name}`", f"`{one.env}`", one.help, f"`{one.default}`") for one in settings.SETTINGS
    ]
    yield from _table(("setting", "environment", "is", "default"), rows)


def _api() -> Iterator[str]:
    import grange

    yield "# Python"
    yield ""
    yield _paragraphs(grange.__doc__)
    yield ""
    for name in grange.__all__:
        value = getattr(grange, name)
        if name in PLAIN:
            yield from (f"## `grange.{name}`", "", PLAIN[name], "")
        elif isinstance(value, type):
            yield from _class(name, value)
        else:
            yield from _function(f"grange.{name}", value, level="##")


def _class(name: str, value: type) -> Iterator[str]:
    yield f"## `grange.{name}`"
    yield ""
    yield _paragraphs(value.__doc__)
    yield ""
    if dataclasses.is_dataclass(value):
        yield from (f"- `{one.name}: {one.type}`" for one in dataclasses.fields(value))
        yield ""
    for member, found in vars(value).items():
        function = getattr(found, "__func__", found)
        if member.startswith("_") or not inspect.getdoc(function):
            continue
        if isinstance(found, property):
            yield from (f"### `{name}.{member}`", "", _paragraphs(found.__doc__), "")
        elif inspect.isfunction(function):
            yield from _function(f"{name}.{member}", function, level="###")


def _function(name: str, value: Any, *, level: str) -> Iterator[str]:  # noqa: ANN401  # any callable
    yield f"{level} `{name}`"
    yield ""
    yield f"    {name.rsplit('.', 1)[-1]}{_signature(value)}"
    yield ""
    yield _sections(inspect.getdoc(value) or "")
    yield ""


def _signature(value: Any) -> str:  # noqa: ANN401  # any callable
    """Give the signature as it is written: without self, types without quotes."""
    signature = inspect.signature(value)
    parameters = [
        one.replace(annotation=_Written(one.annotation))
        for one in signature.parameters.values()
        if one.name not in {"self", "cls"}
    ]
    answer = _Written(signature.return_annotation)
    text = str(signature.replace(parameters=parameters, return_annotation=answer))
    if len(text) <= LONGEST_SIGNATURE:
        return text
    lines = re.sub(r", (?=\*|\w+: )", ",\n        ", text)
    return lines.replace("(", "(\n        ", 1).replace(") ->", ",\n    ) ->")


@dataclasses.dataclass(frozen=True, repr=False)
class _Written:
    """A type as the source has it; inspect would put it into quotes."""

    text: str

    def __repr__(self) -> str:
        return self.text


def _http() -> Iterator[str]:
    from grange.server.app import describe
    from grange.server.documents import API

    document = describe()
    yield (Path(__file__).parent / "http.in.md").read_text().rstrip().replace("{API}", API)
    yield ""
    found = operations(document)
    tags = sorted({one["tags"][0] for *_, one in found}, key=_tag_order)
    for tag in tags:
        yield f"## Operations: {tag}"
        yield ""
        rows = [_operation(*one) for one in found if one[2]["tags"] == [tag]]
        yield from _table(("request", "does", "scope", "takes", "answers"), rows)
    yield "## Schemas"
    yield ""
    for name, schema in document["components"]["schemas"].items():
        if not name.startswith("Page_"):
            yield from _schema(name, schema)


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the method, the path and the rest of each operation of an OpenAPI document."""
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _tag_order(tag: str) -> tuple[int, str]:
    return (TAGS.index(tag) if tag in TAGS else len(TAGS), tag)


def _asked(security: list[dict[str, list[str]]]) -> str:
    """The scope that an operation asks for, or whose key."""
    scopes = [scope for one in security for names in one.values() for scope in names]
    if scopes:
        return f"`{scopes[0]}`"
    return "a worker's key" if any("worker" in one for one in security) else "none"


def _operation(method: str, path: str, operation: dict[str, Any]) -> tuple[str, ...]:
    from grange.server.documents import API

    takes = [_content(operation.get("requestBody", {}).get("content", {}))]
    takes += [
        f"`{one['name']}`{'' if one['required'] else '?'}"
        for one in operation.get("parameters", ())
        if one["in"] != "path" and one["name"] not in {"Idempotency-Key", "Tus-Resumable"}
    ]
    status, answer = next(iter(operation["responses"].items()))
    answers = [status, _content(answer.get("content", {}))]
    return (
        f"`{method} {path.removeprefix(API)}`",
        _paragraphs(operation["description"]),
        _asked(operation["security"]),
        ", ".join(filter(None, takes)),
        " ".join(filter(None, answers)),
    )


def _content(content: dict[str, Any]) -> str:
    for kind, said in content.items():
        if kind != "application/json":
            return f"`{kind}`"
        return _kind(said["schema"]) if said["schema"] else ""
    return ""


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield _paragraphs(schema.get("description"))
    yield ""
    required = schema.get("required", [])
    rows = []
    for field, said in schema.get("properties", {}).items():
        default = said.get("default")
        words = [_kind(said), said.get("description", "")]
        left_out = "" if field in required else "optional"
        if default not in (None, "", [], {}):
            left_out = f"`{default}`".lower() if isinstance(default, bool) else f"`{default}`"
        rows.append((f"`{field}`", ". ".join(filter(None, words)), left_out))
    yield from _table(("field", "is", "if left out"), rows)


def _kind(schema: dict[str, Any]) -> str:
    """Say the type of a JSON schema in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        of = re.fullmatch(r"Page_(\w+)_", name)
        return f"page of [{of[1]}](#{of[1].lower()})" if of else f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}{_bounds(schema, 'Items')}"
    word = WORDS.get(schema.get("type", ""), "any JSON")
    return f"{word}{_bounds(schema, 'Length')}" if word == "text" else word


def _bounds(schema: dict[str, Any], what: str) -> str:
    most = schema.get(f"max{what}")
    return f" (at most {most})" if most else ""


def _errors() -> Iterator[str]:
    from grange.cli.exits import exit_code
    from grange.server.problems import http_status

    yield "# Errors"
    yield ""
    yield "Every error has a stable code, a message (what happened) and a hint (what to do)."
    yield "Programs match on the code; the exit code is that of the command line."
    yield ""
    rows = []
    for depth, error in error_tree():
        name = f"{'· ' * depth}`{error.__name__}`"
        numbers = (str(exit_code(_instance(error))), str(http_status(_instance(error))))
        rows.append((name, f"`{error.code}`", _paragraphs(error.__doc__), *numbers))
    yield from _table(("error", "code", "means", "exit code", "HTTP status"), rows)
    yield "`TaskError` and those below it end an attempt, not the program:"
    yield "they are what a failed item shows as its reason."


def error_tree() -> Iterator[tuple[int, Any]]:
    """Yield every error class with its depth below the root."""
    from grange import errors

    def below(error: Any, depth: int) -> Iterator[tuple[int, Any]]:  # noqa: ANN401  # a class
        yield depth, error
        for child in error.__subclasses__():
            if child.__module__.startswith(errors.__name__):
                yield from below(child, depth + 1)

    yield from below(errors.GrangeError, 0)


def _instance(error: Any) -> Any:  # noqa: ANN401  # a class of the tree, and one of it
    return error("")


def _metrics() -> Iterator[str]:
    from grange.telemetry.metrics import METRICS, Source

    yield "# Metrics"
    yield ""
    yield "What a site tells Prometheus: [Monitoring](../operations/monitoring.md) says how to ask."
    yield "Labels name pipelines, states, stages and workers; never runs, inputs or people."
    yield "Pipelines from a file of somebody's own are called `file`."
    yield ""
    titles = {
        Source.SERVER: ("The server", "At `/metrics` of the server, for the site as a whole."),
        Source.WORKER: ("A worker", "At `/metrics` of a worker with `--metrics-port`, its own."),
    }
    for source, (title, said) in titles.items():
        yield f"## {title}"
        yield ""
        yield f"{said} Beside them stand `process_…`: memory, processor time, open files."
        yield ""
        rows = [
            (
                f"`{one.name}`",
                str(one.kind),
                one.unit,
                ", ".join(f"`{label}`" for label in one.labels),
                one.help,
            )
            for one in METRICS
            if one.source is source
        ]
        yield from _table(("metric", "kind", "in", "labels", "says"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _sections(docstring: str) -> str:
    """Set the sections of a Google docstring as Markdown."""
    lines = []
    for line in docstring.splitlines():
        if line.strip() in {"Args:", "Raises:", "Returns:", "Yields:"}:
            lines += [f"**{line.strip()[:-1]}**", ""]
        elif line.startswith("    ") and not line.startswith("     ") and ": " in line:
            name, words = line.strip().split(": ", 1)
            lines.append(f"- `{name}`: {words}")
        else:
            lines.append(line.strip() if line.startswith("     ") else line)
    return "\n".join(lines)


def _paragraphs(text: str | None) -> str:
    return inspect.cleandoc(text or "").strip()


if __name__ == "__main__":
    main()
