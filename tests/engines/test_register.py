"""The page by which an engine sees what a worker does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from grange.engines.register import IDLE, Register


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Register, Register]:
    """Lend the engine's and the worker's view of one page."""
    return Register(tmp_path / "page", create=True), Register(tmp_path / "page")


def test_the_engine_reads_what_the_worker_writes(sides: tuple[Register, Register]) -> None:
    """The task at hand, since when, how far it is, and the last beat."""
    engine, worker = sides
    before = time.monotonic()

    worker.begin(7)
    worker.progress(0.25)
    worker.beat()

    reading = engine.read()
    assert (7, 0.25) == (reading.task, reading.progress)
    assert before <= reading.begun <= reading.beat <= time.monotonic()


def test_a_new_task_has_made_no_progress(sides: tuple[Register, Register]) -> None:
    """What the last one said of itself is gone, and so is it at rest."""
    engine, worker = sides
    worker.begin(7)
    worker.progress(2.0)
    first = engine.read()
    worker.begin(8)
    second = engine.read()
    worker.rest()

    assert (1.0, None) == (first.progress, second.progress)
    assert engine.read().task == IDLE


def test_a_recall_is_heard(sides: tuple[Register, Register]) -> None:
    """Both sides see how far the other is."""
    engine, worker = sides
    assert (0, 0) == (worker.recalled(), engine.heard())

    engine.recall(3)
    worker.hear(worker.recalled())

    assert (3, 3) == (worker.recalled(), engine.heard())


def test_progress_that_is_no_number_says_nothing(sides: tuple[Register, Register]) -> None:
    """A pipeline that divides nothing by nothing is as far as it has said before."""
    engine, worker = sides
    worker.begin(7)
    worker.progress(float("nan"))
    unknown = engine.read()
    worker.progress(0.5)
    worker.progress(float("nan"))

    assert (None, 0.5) == (unknown.progress, engine.read().progress)
