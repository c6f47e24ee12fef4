"""Write docs/benchmarks.md from what is kept below benchmarks/results/."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
ORDER = (
    "engine",
    "submit",
    "start",
    "listing",
    "command",
    "serve",
    "pages",
    "streams",
    "requests",
    "upload",
    "wildlife",
    "longvideo",
    "brokered",
    "fed",
    "million",
    "databases",
    "carrying",
    "scaling",
)

INTRODUCTION = """\
<!-- Made by benchmarks/page.py from benchmarks/results/: run `make bench`. -->

# Benchmarks

`make bench` measures Grange beside others on your own machine, writes this page, and keeps every
single repetition in `benchmarks/results/`. Contestants take turns (A B A B …), so that what
disturbs one disturbs all; a number here is the median of the repetitions, with the lowest and
the highest beside it. Ratios travel from one machine to another, absolute numbers do not.
A load above the number of cores, before or after, says that others used the machine meanwhile.
"""


def text() -> str:
    """The page."""
    kept = [json.loads(_file(name).read_text()) for name in ORDER if _file(name).exists()]
    return "\n".join([INTRODUCTION, *(line for one in kept for line in _section(one))])


def _file(name: str) -> Path:
    return RESULTS / f"{name}.json"


def _section(kept: dict[str, Any]) -> Iterator[str]:
    yield f"## {kept['title']}\n"
    yield f"{kept['about']}\n"
    yield "| | median | lowest | highest | |\n|---|---:|---:|---:|---|"
    for row in kept["rows"]:
        yield _row(row)
    yield ""
    if kept["targets"]:
        yield "| target | is | limit | |\n|---|---:|---:|---|"
        for target in kept["targets"]:
            side = "≤" if target["at_most"] else "≥"
            limit = f"{side} {target['limit']:,g}"
            yield f"| {target['what']} | {target['value']:,.2f} | {limit} | {target['verdict']} |"
        yield ""
    machine = ", ".join(f"{what} {value}" for what, value in kept["machine"].items())
    yield f"Measured on {kept['when']}: {machine}.\n"


def _row(row: dict[str, Any]) -> str:
    numbers = (row["median"], min(row["values"]), max(row["values"]))
    cells = " | ".join(f"{one:,.{row['digits']}f}" for one in numbers)
    return f"| {row['what']} | {cells} | {row['unit']} |"


if __name__ == "__main__":
    PAGE.write_text(text())
