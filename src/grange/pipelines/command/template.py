"""Placeholders in commands: `{input}` and its like, in argument lists and in shell lines.

Only `{identifier}` of a known name is a placeholder. `{{identifier}}` of a
known name is that text itself, `${identifier}` is the shell's own, and all
other braces stay as they are. How shell lines are filled: `shell.py`.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

PLACEHOLDER: Final = re.compile(r"\{(\{)?([A-Za-z_][A-Za-z0-9_]*)\}(?(1)\})")

# How alike a name must be to a known one to be taken for a slip of the fingers.
# Lower, and awk's `{print}` would be taken for `{input}`.
_NEAR: Final = 0.8

# Programs that take program text as the word after an option such as -c, -e or -pe.
_INTERPRETER = re.compile(r"(ba|da|z|k|a|)sh|python[0-9.]*|perl|ruby|node|Rscript|php")
_CODE_OPTION = re.compile(r"-[A-Za-z]*[cer]|--eval|--command")


class TemplateError(ValueError):
    """A command has a placeholder where its value can't be passed on as it is."""


def fill(argument: str, values: Mapping[str, str]) -> str:
    """The argument with the placeholders of these values replaced."""

    def replaced(found: re.Match[str]) -> str:
        if found[2] not in values or argument[: found.start()].endswith("$"):
            return found[0]
        return f"{{{found[2]}}}" if found[1] else values[found[2]]

    return PLACEHOLDER.sub(replaced, argument)


def placeholders(texts: Iterable[str]) -> set[str]:
    """The names of everything that could be a placeholder."""
    return {
        found[2]
        for text in texts
        for found in PLACEHOLDER.finditer(text)
        if not found[1] and not text[: found.start()].endswith("$")
    }


def slip(texts: Iterable[str], names: Collection[str]) -> tuple[str, str] | None:
    """A would-be placeholder that is nearly a known name, and that name."""
    for found in sorted(placeholders(texts) - set(names)):
        if close := difflib.get_close_matches(found.lower(), names, n=1, cutoff=_NEAR):
            return found, close[0]
    return None


def code_with(words: Sequence[str], names: Collection[str]) -> str | None:
    """The word that an interpreter would read as program text, with one of these names in it."""
    interpreter = False
    for before, word in zip(["", *words], words, strict=False):
        is_code = before == "eval" or (interpreter and _CODE_OPTION.fullmatch(before))
        if is_code and placeholders([word]) & set(names):
            return word
        program = word.rpartition("/")[2]
        interpreter = bool(_INTERPRETER.fullmatch(program)) or (
            interpreter and word.startswith("-")
        )
    return None


def shell_words(line: str) -> list[str]:
    """The words of a shell line, as far as they can be told without running it."""
    splitter = shlex.shlex(line, posix=True, punctuation_chars=True)
    splitter.commenters = ""
    splitter.whitespace_split = True
    try:
        return list(splitter)
    except ValueError:
        return []
