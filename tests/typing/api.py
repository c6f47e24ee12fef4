"""Programs of users, checked by mypy and never run: what the types promise them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import grange
from grange import Item, ItemRecord, Parameters, Part, PartResult, Pipeline, Work


def start_and_wait() -> None:
    """A run is started with plain values and gives typed ones."""
    run = grange.run("command", ["photos/"], out="packed/", workers=2, command=["true"])
    assert_type(run, grange.Run)
    assert_type(run.wait(timeout=3.0), grange.Run)
    assert_type(run.out, Path)
    assert_type(run.report, Path | None)
    for item in run:
        assert_type(item, grange.ItemResult)
        assert_type(item.outputs, tuple[Path, ...])
        assert_type(item.seconds, float)
    assert_type(run.records(), list[dict[str, Any]])
    if run.state == "failed":
        assert_type(run.retry(), grange.Run)


def find_again() -> None:
    """Earlier runs have the same type."""
    assert_type(grange.find_run("last"), grange.Run)
    assert_type(grange.list_runs("done", limit=3), list[grange.Run])
    assert_type(grange.__version__, str)
    with grange.find_run() as run:
        assert_type(run, grange.Run)


def refuse() -> None:
    """Mistakes are found before the program runs."""
    grange.run("command", "photos/")  # type: ignore[call-arg]  # no `out`
    grange.run("command", 3, out="packed/")  # type: ignore[arg-type]
    grange.walk("photos/")  # type: ignore[attr-defined]


def handle_errors() -> None:
    """Every error of Grange has a code, a message and a hint."""
    try:
        grange.run("command", "photos/", out="packed/")
    except grange.GrangeError as error:
        assert_type(error.code, str)
        assert_type(error.hint, str)


class Sizes(Parameters):
    """The parameters of a pipeline."""

    limit: int = 10


class Split(Pipeline[Sizes]):
    """A pipeline of one's own sees its own parameters."""

    name = "split"
    version = "1"
    summary = "Does nothing."
    Parameters = Sizes

    def split(self, item: Item, params: Sizes, work: Work) -> Iterator[dict[str, int]]:
        """Make parts."""
        assert_type(params.limit, int)
        yield {"start": item.size}

    def process(self, part: Part, params: Sizes, model: object, work: Work) -> dict[str, int]:
        """Work on one."""
        assert_type(work.output, Path)
        return {"number": part.number}

    def merge(
        self, item: Item, parts: Iterator[PartResult], params: Sizes, work: Work
    ) -> dict[str, int]:
        """Put them together."""
        return {"parts": sum(1 for _ in parts)}

    def report(self, items: Iterator[ItemRecord], params: Sizes, work: Work) -> None:
        """Say something about all."""
        for item in items:
            assert_type(item.path, str)


grange.run(Split, "photos/", out="packed/", limit=3)
