"""How long the command line takes to start, beside an empty program with the same libraries."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measure import Result, Row, Target, in_turn, make_files, program, seconds_of

REPETITIONS = 31
LIMIT = 1.5

CASES = {
    "grange --help": "import typer, rich",
    "grange runs list": "import typer, rich, sqlalchemy",
}


def measure(*, quick: bool = False) -> Result:
    """Compare each command with the bare imports that it can't do without."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"GRANGE_HOME": f"{folder}/home"}
        run_once(Path(folder), environment)
        contestants = {}
        for command, imports in CASES.items():
            words = [program("grange"), *command.split()[1:]]
            bare = [sys.executable, "-c", imports]
            contestants[command] = partial(seconds_of, words, environment=environment)
            contestants[_bare(imports)] = partial(seconds_of, bare)
        found = in_turn(contestants, repetitions=3 if quick else REPETITIONS)
    result = Result(
        "start",
        "Starting the command line",
        "From the start of the process to its end. `grange` is the installed console script; "
        "`grange runs list` shows one run. The disk's cache is warm, and so are the `.pyc` files.",
        [Row(name, "ms", [1000 * one for one in times], 1) for name, times in found.items()],
    )
    for command, imports in CASES.items():
        ratio = result.median(command) / result.median(_bare(imports))
        result.targets.append(
            Target(f"times {_bare(imports)}, {command}", ratio, LIMIT, at_most=True)
        )
    return result


def run_once(folder: Path, environment: dict[str, str]) -> None:
    """Make a home with a small run in it."""
    make_files(folder / "inputs", 10)
    words = [program("grange"), "run", "command", str(folder / "inputs")]
    words += ["--out", str(folder / "out"), "--set", 'command=["true"]']
    seconds_of(words, environment=environment)


def _bare(imports: str) -> str:
    return f"python -c '{imports}'"
