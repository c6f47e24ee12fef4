"""What the commands write: to people on a terminal, to programs in a pipe."""

from __future__ import annotations

import io
import itertools
import os
import sys
from collections.abc import Iterable, Sequence

from grange.cli.words import visible

_STATE_COLOURS = {
    "done": "\x1b[32m",
    "failed": "\x1b[31m",
    "running": "\x1b[34m",
    "cancelled": "\x1b[90m",
    "cancelling": "\x1b[90m",
    "paused": "\x1b[33m",
    "interrupted": "\x1b[33m",
    "ok": "\x1b[32m",
    "warn": "\x1b[33m",
    "broken": "\x1b[31m",
}
_PLAIN = "\x1b[0m"
_GAP = "  "

# How many rows decide how wide a table's columns are.
_SAMPLE = 200


def tame_streams() -> None:
    """Let no name that the terminal's encoding can't show end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def put(text: str = "") -> None:
    """A line of the answer, to stdout."""
    sys.stdout.write(f"{text}\n")


def flush() -> None:
    """Send what was put on its way: somebody waits for it."""
    sys.stdout.flush()


def say(text: str) -> None:
    """A word to the person, to stderr, where it can't end up in an answer."""
    sys.stdout.flush()
    sys.stderr.write(f"grange: {text}\n")
    sys.stderr.flush()


def put_json(data: object) -> None:
    """A line of JSON, on its way at once. Names that are no text keep their bytes as escapes."""
    import json

    sys.stdout.write(json.dumps(data, default=str) + "\n")
    sys.stdout.flush()


def close_stdout() -> None:
    """Nobody reads any longer: let what is still written vanish, here and at the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def is_interactive() -> bool:
    """Whether a person looks at both streams."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def state_word(state: str) -> str:
    """A state's name, in its colour where colours are wanted."""
    colour = _STATE_COLOURS.get(state, "") if _colourful() else ""
    return f"{colour}{state}{_PLAIN}" if colour else state


def put_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: str = "") -> None:
    """Rows in columns, written as they come; headings named in `right` stand over numbers.

    The first rows decide the widths, so that a million rows need no memory.
    """
    remaining = iter(rows)
    first = [_cells(row) for row in itertools.islice(remaining, _SAMPLE)]
    widths = [max(map(_width, column)) for column in zip(headings, *first, strict=True)]
    numbers = right.split()
    for row in itertools.chain([headings], first, map(_cells, remaining)):
        shown = []
        for heading, width, cell in zip(headings, widths, row, strict=True):
            space = " " * (width - _width(cell))
            word = state_word(cell) if heading == "state" else cell
            shown.append(space + word if heading in numbers else word + space)
        put(_GAP.join(shown).rstrip())


def put_pairs(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair a line; pairs without a value are left out."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        put(f"{name:<{width}}{_GAP}{value}")


def _cells(row: Sequence[str]) -> list[str]:
    return [visible(cell) for cell in row]


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    wide = sum(east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(bool(combining(letter)) for letter in text)


def _colourful() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
