"""The command pipeline: one command for each item, its ends told apart."""

from __future__ import annotations

import errno
import hashlib
import os
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grange.errors import (
    CommandFailed,
    CommandKilled,
    CommandNotFound,
    MemoryExceeded,
    StoreFull,
    TaskError,
    TaskTimedOut,
)
from grange.pipelines.base import Part, Pipeline, Work
from grange.pipelines.command.parameters import CommandParameters
from grange.pipelines.command.process import End, Ended, run_command
from grange.pipelines.command.shell import VARIABLE_PREFIX, fill_shell
from grange.pipelines.command.template import fill, placeholders

SHELL: Final = "/bin/sh"

# With less room than this a disk counts as full: what fails then, fails for want of room.
_NO_ROOM_BYTES: Final = 1024 * 1024

# What a shell says by its exit code.
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
_SIGNALLED = 128

# Variables of Grange's own hold passwords and tokens; of them only where it lives is passed on.
_PASSED_ON = "GRANGE_HOME"

# The most that evidence shows of a command.
_SHOWN_LETTERS = 2000


class CommandPipeline(Pipeline[CommandParameters]):
    """Runs a command for each file and publishes what it writes into {output}."""

    name = "command"
    version = "1"
    summary = "Runs a command for each file; what it writes into {output} is published."
    Parameters = CommandParameters

    def models(self, params: CommandParameters) -> dict[str, str]:
        """Digest the files that the command names (a script, weights): they decide its results."""
        found: dict[str, str] = {}
        for before, word in zip(["", *params.words], params.words, strict=False):
            if params.shell and ">" in before:
                continue  # A file that is written to is no part of what decides.
            # --weights=FILE names a file as well.
            path = word.partition("=")[2] if word.startswith("-") else word
            digest = None if placeholders([path]) else _digest(params.directory, path)
            if digest is not None:
                found[path] = digest
        return found

    def load(self, params: CommandParameters) -> _Prepared:
        """Fill the shell line once; the values of items come by the environment."""
        line = fill_shell(params.shell, params.names) if params.shell else ""
        return _Prepared(line, params)

    def process(self, part: Part, params: CommandParameters, model: _Prepared, work: Work) -> None:
        """Run the command on the item.

        Raises:
            TaskError: It could not be started, or ended in any other way than with exit code 0.
            StoreFull: It failed, and there is no room left where it writes.
        """
        item = part.item
        values = {
            **params.values,
            "input": os.path.abspath(item.file),
            "output": os.fspath(work.output),
            "name": item.name,
            "stem": item.stem,
        }
        arguments = model.arguments(values)
        shown = params.shell or shlex.join(arguments)
        try:
            ended = run_command(
                arguments,
                cwd=params.directory if os.path.isdir(params.directory) else str(work.scratch),
                environment=model.environment(values, work),
                logs=work.logs,
                timeout_seconds=work.timeout_seconds,
                memory_limit_bytes=params.memory,
            )
        except OSError as error:
            raise _not_started(error, arguments[0], shown) from error
        work.peak(ended.peak_bytes)
        if ended.end is not End.ITSELF or ended.code != 0:
            _refuse_full_disks(ended, work)
            raise _failure(ended, params, work, shown)


class _Prepared:
    """What is the same for all items of a run."""

    def __init__(self, line: str, params: CommandParameters) -> None:
        self._line = line
        self._command = params.command
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(VARIABLE_PREFIX) or name == _PASSED_ON
        }
        self._environment = {**own, **params.environment}
        self._has_own_temporary_folder = "TMPDIR" in params.environment

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        if self._line:
            return [SHELL, "-c", self._line]
        return [fill(argument, values) for argument in self._command]

    def environment(self, values: Mapping[str, str], work: Work) -> dict[str, str]:
        environment = dict(self._environment)
        if not self._has_own_temporary_folder:
            # So that temporary files go with the attempt, even those of a killed command.
            environment["TMPDIR"] = os.fspath(work.scratch)
        environment.update((VARIABLE_PREFIX + name, value) for name, value in values.items())
        environment.update(work.marker)
        return environment


def _digest(directory: str, word: str) -> str | None:
    try:
        path = Path(directory, word)
        # Without a folder to begin at, a relative path names nothing.
        if not word or not path.is_absolute() or not path.is_file():
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return None


# ---- how a command can end badly


def _not_started(error: OSError, program: str, shown: str) -> TaskError:
    evidence: dict[str, object] = {"command": shown[:_SHOWN_LETTERS], "error": str(error)}
    if error.errno == errno.E2BIG:
        return CommandFailed("The command's arguments are too long.", evidence=evidence)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        words = "is not on this machine"
        hint = "Is it installed here, and on the PATH?"
    elif error.errno == errno.ENOEXEC:
        words, hint = "is no program", "A script has to begin with a line such as #!/bin/sh"
    elif isinstance(error, PermissionError):
        words, hint = "may not be executed", f"Try: chmod +x {shlex.quote(program)}"
    else:
        # Too many processes, no memory for another: later it may work.
        return CommandFailed(f"The command can't be started: {error.strerror}.", evidence=evidence)
    return CommandNotFound(f"The program {program!r} {words}.", hint=hint, evidence=evidence)


def _refuse_full_disks(ended: Ended, work: Work) -> None:
    full = [folder for folder in (work.output, work.scratch) if _is_full(folder)]
    if full or (ended.end is End.ITSELF and os.strerror(errno.ENOSPC) in ended.said):
        raise StoreFull(
            f"There is no room left on the disk of {full[0] if full else work.output}.",
            hint="Make room, then go on with the run.",
        )


def _is_full(folder: Path) -> bool:
    try:
        disk = os.statvfs(folder)
    except OSError:
        return False
    # Some file systems tell no sizes at all.
    return disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < _NO_ROOM_BYTES


def _failure(ended: Ended, params: CommandParameters, work: Work, shown: str) -> TaskError:
    evidence: dict[str, object] = {
        "command": shown[:_SHOWN_LETTERS],
        "seconds": round(ended.seconds, 3),
        "peak_memory_bytes": ended.peak_bytes,
        "said": ended.said,
    }
    if ended.code < 0:
        evidence["signal"] = _signal_name(-ended.code)
    else:
        evidence["exit_code"] = ended.code
    if ended.end is End.TIME:
        return TaskTimedOut(
            f"The command took longer than {work.timeout_seconds:g} seconds.", evidence=evidence
        )
    if ended.end is End.MEMORY:
        evidence["memory_limit_bytes"] = params.memory
        return MemoryExceeded(
            f"The command held more than {params.memory} bytes of memory.", evidence=evidence
        )
    if ended.code < 0:
        return _killed(-ended.code, evidence)
    return _failed(ended.code, evidence, in_shell=bool(params.shell))


def _killed(number: int, evidence: dict[str, object]) -> CommandKilled:
    hint = "Most often the machine had no memory left." if number == signal.SIGKILL else ""
    return CommandKilled(
        f"The command was ended by {_signal_name(number)}.", hint=hint, evidence=evidence
    )


def _failed(code: int, evidence: dict[str, object], *, in_shell: bool) -> CommandFailed:
    words = ""
    if code == _NOT_FOUND:
        words = ": a program was not found" if in_shell else ""
    elif code == _NOT_EXECUTABLE:
        words = ": a program may not be executed" if in_shell else ""
    elif in_shell and code > _SIGNALLED:
        words = f": a program in it was ended by {_signal_name(code - _SIGNALLED)}"
    return CommandFailed(f"The command ended with exit code {code}{words}.", evidence=evidence)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
