"""A command over small files: the command pipeline, and the programs that are made for just that.

They keep no account, no outputs and no logs, so this has no target: it says
what the account costs where a task is as short as a process can be.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.measure import Result, Row, in_turn, make_files, program, seconds_of

FILES = 500
WORKERS = 2
REPETITIONS = 5


def measure(*, quick: bool = False) -> Result:
    """Run `true` for each file."""
    files = 50 if quick else FILES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_files(folder / "inputs", files, content=b"a small file\n")
        listing = "find inputs -type f -print0"
        lines = {f"xargs -P{WORKERS}": f"{listing} | xargs -0 -n1 -P{WORKERS} true"}
        if shutil.which("parallel"):
            lines["GNU parallel"] = f"{listing} | parallel -0 -j{WORKERS} true"
        contestants: dict[str, Callable[[], float]] = {
            "grange run command": partial(_run_grange, folder, itertools.count())
        }
        for who, line in lines.items():
            shell = ["sh", "-c", f"cd '{folder}' && {line}"]
            contestants[who] = partial(seconds_of, shell)
        found = in_turn(contestants, repetitions=1 if quick else REPETITIONS)
    return Result(
        "command",
        f"`true` for each of {files} small files, {WORKERS} at once",
        "The whole command from its start to its end, in a fresh home, with manifest, report and "
        "a log folder. The others keep no account; the numbers are for information.",
        [Row(who, "files/s", [files / one for one in times]) for who, times in found.items()],
    )


def _run_grange(folder: Path, numbers: itertools.count[int]) -> float:
    number = next(numbers)
    words = [program("grange"), "run", "command", str(folder / "inputs")]
    words += ["--out", str(folder / f"out-{number}"), "--workers", str(WORKERS)]
    words += ["--set", 'command=["true"]']
    return seconds_of(words, environment={"GRANGE_HOME": str(folder / f"home-{number}")})
