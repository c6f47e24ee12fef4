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
        "errors.md": _errors,
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
