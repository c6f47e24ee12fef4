"""Where the workers' time goes, and the picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest

from grange.bootstrap.scaling import LOSSES, Measured, accounted, compare
from grange.bootstrap.scalingpage import page, picture, table
from grange.runs.timeline import Span

PARTS = ("starting", "working", "waiting", "idle", "closing")


def test_all_time_is_accounted_for() -> None:
    """What a worker does from the submission to the last file adds up to the whole."""
    spans = [_span("w1", 12, 15), _span("w1", 15, 18), _span("w2", 11, 13), _span("w2", 14, 16)]
    found = accounted(spans, workers=2, began_at=10, ended_at=20)

    assert {"starting": 1.5, "working": 5.0, "waiting": 0.5, "idle": 1.0, "closing": 2.0} == found


def test_a_worker_without_a_task_was_idle() -> None:
    """More workers than inputs help nobody, and the table says so."""
    found = accounted([_span("w1", 0, 8)], workers=2, began_at=0, ended_at=10)

    assert {"starting": 0.0, "working": 4.0, "waiting": 0.0, "idle": 4.0, "closing": 2.0} == found


def test_tasks_that_are_told_together_make_no_negative_time() -> None:
    """Quick tasks end in batches, so that their spans overlap; their sum is right all the same."""
    spans = [_span("w1", 9.0 - 0.5, 9.0) for _ in range(17)]
    found = accounted(spans, workers=1, began_at=0, ended_at=10)

    assert all(value >= 0 for value in found.values())
    assert 10.0 == pytest.approx(sum(found.values()), abs=0.51)
    assert 8.5 == found["working"]


def test_losses_are_told_beside_the_fewest_workers() -> None:
    """Efficiency is what one would have taken over what all have taken; shares add up to one."""
    one, two = compare([_measured(1, 100, working=95), _measured(2, 60, working=50, starting=4)])

    assert (1.0, 1.0) == (one.speedup, one.efficiency)
    assert pytest.approx(100 / 60) == two.speedup
    assert pytest.approx(100 / 120) == two.efficiency
    assert pytest.approx(95 / 120) == two.useful
    assert pytest.approx(5 / 120) == two.loss["slower work"]
    assert pytest.approx(8 / 120) == two.loss["starting"]
    for each in (one, two):
        assert pytest.approx(1.0) == each.useful + sum(each.loss.values())
        assert set(LOSSES) == set(each.loss)


def test_the_picture_says_what_the_table_says() -> None:
    """It is well-formed, has a bar for each part, and words for those who don't see it."""
    compared = compare([_measured(1, 100, working=95), _measured(4, 30, working=25)])
    drawn = ET.fromstring(picture(compared))  # noqa: S314  # it is our own
    told = page(compared, {"pipeline": "<script>"})

    assert "4 workers: 30.00 s, efficiency 83.3 %" in str(drawn.get("aria-label"))
    assert 1 + 6 + 12 == len(drawn.findall("{*}rect"))
    assert ["4", "30.00 s", "3.33", "83.3 %"] == list(table(compared))[1][:4]
    assert ("<script>" in told, "83.3 %" in told) == (False, True)


def _span(worker: str, began_at: float, ended_at: float) -> Span:
    return Span(
        worker=worker, began_at=began_at, ended_at=ended_at, end="done", item=1, path="a.txt"
    )


def _measured(workers: int, seconds: float, *, working: float, starting: float = 0.0) -> Measured:
    rest: Sequence[float] = (starting, working, 0.0, 0.0, seconds - working - starting)
    return Measured(
        workers=workers, items=9, failed=0, seconds=seconds, **dict(zip(PARTS, rest, strict=True))
    )
