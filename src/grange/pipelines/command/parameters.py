"""What the command pipeline is told: a command with placeholders, and its limits."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, ValidationInfo, field_validator, model_validator

from grange.pipelines.base import INCIDENTAL, NOWHERE, Bytes, Parameters
from grange.pipelines.command.shell import VARIABLE_PREFIX, fill_shell
from grange.pipelines.command.template import (
    IDENTIFIER,
    code_with,
    placeholders,
    shell_words,
    slip,
)

# The placeholders whose values come from the item.
ITEM_NAMES: Final = ("input", "output", "name", "stem")

# The kernel takes no environment variable of more than 128 KiB.
_LONGEST_VALUE: Final = 100_000


class CommandParameters(Parameters):
    """A command, given either as a list of arguments or as a line for /bin/sh."""

    command: list[str] = Field(
        default=[],
        description="The program and its arguments, as a JSON list or as one text that is split "
        "at blanks and quotes. No shell sees it. Placeholders: {input} {output} {name} {stem}.",
    )
    shell: str = Field(
        default="",
        description="A line for /bin/sh, instead of `command`. The same placeholders, each "
        "passed as one word whatever it holds.",
    )
    memory: Annotated[Bytes | None, INCIDENTAL] = Field(
        default=None,
        description="How much memory the command and all that it starts may hold together.",
    )
    environment: dict[str, str] = Field(
        default={}, description="Environment variables for the command, beside the user's own."
    )
    values: dict[str, str] = Field(
        default={},
        description="Placeholders of one's own. NAME=VALUE with a NAME that is no parameter "
        "adds one: size=10 fills {size}.",
    )
    directory: Annotated[str, INCIDENTAL] = Field(
        default="",
        description="The folder where the command runs; by default the one where the run was "
        "asked for, and on a server an empty one for each attempt.",
    )

    @property
    def texts(self) -> list[str]:
        """Where placeholders may stand."""
        return [self.shell] if self.shell else self.command

    @property
    def names(self) -> tuple[str, ...]:
        """All placeholders."""
        return (*ITEM_NAMES, *self.values)

    @property
    def words(self) -> list[str]:
        """The words of the command, as far as they can be told without a shell."""
        return shell_words(self.shell) if self.shell else self.command

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  # anything
        """Take unknown names for values, and the folder from where the run was asked for."""
        if not isinstance(given, Mapping):
            return given
        known = {name: value for name, value in given.items() if name in cls.model_fields}
        more = {name: _as_text(value) for name, value in given.items() if name not in known}
        values = known.get("values", {})
        if more and isinstance(values, Mapping):
            known["values"] = {**values, **more}
        cwd = (info.context or {}).get("cwd") or _own_directory()
        asked = known.get("directory")
        if cwd == NOWHERE and isinstance(asked, str) and asked and not os.path.isabs(asked):
            raise ValueError(f"directory has to be a whole path on the server, not {asked!r}")
        # A text of no letters was checked before: it stays what it is, wherever that is done.
        nowhere = asked == "" or (asked is None and cwd == NOWHERE)
        known["directory"] = "" if nowhere else _absolute(asked or "", cwd)
        return known

    @field_validator("command", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:  # noqa: ANN401  # anything
        try:
            return shlex.split(given) if isinstance(given, str) else given
        except ValueError as error:
            raise ValueError(f"can't be split into words: {error}") from None

    @field_validator("values")
    @classmethod
    def _check_values(cls, given: dict[str, str]) -> dict[str, str]:
        for name, value in given.items():
            if not IDENTIFIER.fullmatch(name):
                raise ValueError(f"{name!r} is no name: use letters, digits and '_'")
            if name in ITEM_NAMES:
                raise ValueError(f"{name} is the item's own")
            if len(value) > _LONGEST_VALUE:
                raise ValueError(f"{name} has more than {_LONGEST_VALUE} letters")
        return given

    @field_validator("environment")
    @classmethod
    def _check_environment(cls, given: dict[str, str]) -> dict[str, str]:
        for name in given:
            if not name or "=" in name:
                raise ValueError(f"{name!r} is no name of an environment variable")
        return given

    @model_validator(mode="after")
    def _check(self) -> CommandParameters:
        if bool(self.shell.strip()) == bool(self.command):
            raise ValueError("give either command or shell" if self.command else _NOTHING)
        if self.command and not self.command[0]:
            raise ValueError("command names no program")
        if any("\0" in text for text in _all_texts(self)):
            raise ValueError("a NUL character can't be passed to any command")
        self._check_placeholders()
        if self.shell:
            fill_shell(self.shell, self.names)
        return self

    def _check_placeholders(self) -> None:
        if found := slip(self.texts, self.names):
            raise ValueError(
                f"{{{found[0]}}} is no placeholder: did you mean {{{found[1]}}}? "
                f"To have it as it stands, give it as a value: {found[0]}={{{found[0]}}}"
            )
        used = placeholders(self.texts)
        for name in self.values:
            if name not in used and not any(VARIABLE_PREFIX + name in text for text in self.texts):
                raise ValueError(_unused(name, list(type(self).model_fields), sorted(used)))
        if code := code_with(self.words, ITEM_NAMES):
            raise ValueError(
                f"a file's name would become program text in {code!r}: refer to the environment "
                f'variable there, as in "${VARIABLE_PREFIX}input", or pass it as an argument'
            )


_NOTHING = "there is nothing to run: give command or shell"


def _as_text(value: object) -> object:
    """A number as the text that it is written as; all else as it is, to be judged as a text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return os.fspath(value) if isinstance(value, Path) else value


def _own_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _absolute(directory: object, cwd: object) -> object:
    if not isinstance(directory, str | Path):
        return directory
    path = os.path.join(str(cwd), os.path.expanduser(directory)) if directory else str(cwd)
    # A folder whose name is no text can't be written down; the command then runs elsewhere.
    return path if path.encode(errors="ignore").decode() == path else ""


def _unused(name: str, parameters: list[str], used: list[str]) -> str:
    close = difflib.get_close_matches(name, [*parameters, *used], n=1)
    hint = f": did you mean {close[0]}?" if close else ""
    return f"{name} is neither a parameter nor a placeholder in the command{hint}"


def _all_texts(params: CommandParameters) -> list[str]:
    pairs = [*params.environment.items(), *params.values.items()]
    return [*params.command, params.shell, *(text for pair in pairs for text in pair)]
