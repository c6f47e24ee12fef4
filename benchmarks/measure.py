"""What all benchmarks share: repetitions in turn, medians, targets, and words for the machine."""

from __future__ import annotations

import json
import os
import platform
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"

# Packages whose versions say what was compared.
PACKAGES = (
    "grange",
    "sqlalchemy",
    "typer",
    "rich",
    "ray",
    "distributed",
    "fastapi",
    "uvicorn",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured: the median counts, all repetitions are kept."""

    what: str
    unit: str
    values: list[float]
    digits: int = 0

    @property
    def median(self) -> float:
        """The repetition in the middle."""
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio or a number that is to be reached; `at_most` says from which side."""

    what: str
    value: float
    limit: float
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """PASS or MISS."""
        reached = self.value <= self.limit if self.at_most else self.value >= self.limit
        return "PASS" if reached else "MISS"


@dataclass(slots=True)
class Result:
    """What one benchmark found."""

    name: str
    title: str
    about: str
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def median(self, what: str) -> float:
        """The median of the row of this name."""
        return next(row.median for row in self.rows if row.what == what)


def in_turn(contestants: Mapping[str, Callable[[], T]], *, repetitions: int) -> dict[str, list[T]]:
    """Let each one run once, then each once more, and so on: what disturbs one disturbs all."""
    found: dict[str, list[T]] = {name: [] for name in contestants}
    for turn in range(repetitions):
        for name, contestant in contestants.items():
            found[name].append(contestant())
            print(f"  {name}, {turn + 1} of {repetitions}", file=sys.stderr)
    return found


def in_child(module: str, *words: object, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
    """Run one measurement in a process of its own; returns the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def seconds_of(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> float:
    """How long a command takes, from its start to its end."""
    begun = time.perf_counter()
    subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - begun


def program(name: str) -> str:
    """The installed console script of this Python's environment."""
    return str(Path(sys.executable).parent / name)


def make_files(folder: Path, number: int, *, content: bytes = b"") -> None:
    """Make so many small files, a thousand in a folder."""
    for first in range(0, number, 1000):
        below = folder / f"{first // 1000:04}"
        below.mkdir(parents=True)
        for index in range(first, min(first + 1000, number)):
            (below / f"{index:07}.dat").write_bytes(content)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def renewed(pipeline: Path, folder: Path, version: object) -> str:
    """A copy of a pipeline as another version, which knows nothing of what earlier ones found."""
    folder.mkdir(parents=True, exist_ok=True)
    text = pipeline.read_text()
    before = 'version = "1"'
    if before not in text:
        raise RuntimeError(f"{pipeline} has no version to change")
    copy = folder / f"{pipeline.stem}{version}.py"
    copy.write_text(text.replace(before, f'version = "{version}"'))
    return str(copy)


def show(result: Result) -> None:
    """Print what was found, and whether it is what was wanted."""
    print(f"\n{result.title}")
    for row in result.rows:
        print(f"  {row.what:<56} {row.median:>12,.{row.digits}f} {row.unit}")
    for target in result.targets:
        side = "at most" if target.at_most else "at least"
        print(f"  {target.verdict}  {target.what}: {target.value:,.2f} ({side} {target.limit:,g})")


def keep(result: Result, described: dict[str, str]) -> None:
    """Keep a result with every repetition and the machine's description, as JSON."""
    kept = {
        "name": result.name,
        "when": time.strftime("%Y-%m-%d"),
        "machine": described | {"load after": f"{os.getloadavg()[0]:.1f}"},
        "title": result.title,
        "about": result.about,
        "rows": [asdict(row) | {"median": row.median} for row in result.rows],
        "targets": [asdict(target) | {"verdict": target.verdict} for target in result.targets],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{result.name}.json").write_text(json.dumps(kept, indent=1) + "\n")


def machine() -> dict[str, str]:
    """Where this runs, and how busy it is: what a reader needs to judge the numbers."""
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory_bytes / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
