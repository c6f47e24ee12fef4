"""What made the results, and the command that makes them again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from grange.errors import GrangeError
from grange.runs.models import RunView
from grange.runs.report import words
from grange.storage import uri_path

JSON = Any

_VALUE_CHARACTERS = 10_000
# Parameters that were left at nothing are not worth a line.
_NOTHING: tuple[JSON, ...] = (None, "", [], {})


# What a person gave as inputs, and how that is called.
_INPUTS = (("roots", "Inputs"), ("inbox", "Inbox"), ("include", "Only"), ("exclude", "But not"))


def about(run: RunView, software: Mapping[str, JSON]) -> list[tuple[str, str, bool]]:
    """What made the results: name, value, and whether the value is code."""
    told = [("Pipeline", f"{run.pipeline} {run.version}", False)]
    told += [
        (name, words.shortened(text_of(value), _VALUE_CHARACTERS), True)
        for name, value in run.params.items()
        if value not in _NOTHING
    ]
    told += [(f"Model {name}", sha256, True) for name, sha256 in run.models.items()]
    told += [
        (said, "\n".join(map(str, run.inputs[name])), True)
        for name, said in _INPUTS
        if run.inputs.get(name)
    ]
    if not run.owner:
        # Where a server keeps its files is its own.
        told.append(("Outputs", folder_of(run.out), True))
    told.append(("Retries", str(run.retries), False))
    if run.timeout_seconds is not None:
        told.append(("Time limit", words.duration(run.timeout_seconds), False))
    packages = ", ".join(f"{name} {number}" for name, number in software["packages"].items())
    told.append(("Python", f"{software['python']} on {software['platform']}", False))
    told.append(("Packages", packages, False))
    return told


def command_line(run: RunView) -> str:
    """The command, as a shell takes it, one option a line."""
    params = {name: value for name, value in run.params.items() if value not in _NOTHING}
    shell = params.pop("shell", None) if run.pipeline == "command" else None
    inbox = run.inputs.get("inbox", ())
    if inbox and shell:
        params["shell"], shell = shell, None
    typed = ["grange watch" if inbox else "grange run", shlex.quote(run.pipeline)]
    if shell:
        typed = ["grange map", shlex.quote(shell)]
    typed += [shlex.quote(str(path)) for path in inbox or run.inputs.get("roots", ())]
    lines = [
        " ".join(typed),
        f"--out {shlex.quote(folder_of(run.out) if not run.owner else 'out')}",
    ]
    for option in ("include", "exclude"):
        lines += [f"--{option} {shlex.quote(glob)}" for glob in run.inputs.get(option, ())]
    lines += [f"--set {shlex.quote(f'{name}={text_of(value)}')}" for name, value in params.items()]
    if run.timeout_seconds is not None:
        lines.append(f"--timeout {run.timeout_seconds:g}")
    return " \\\n    ".join(lines)


def text_of(value: JSON) -> str:
    """A parameter's value as one would type it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def folder_of(url: str) -> str:
    """Where the outputs are, as one would type it: a path where it is a folder of this machine."""
    try:
        return str(uri_path(url))
    except GrangeError:
        return url
