"""What a station says of itself: who looks at it is to see what it does."""

from __future__ import annotations

import pytest

from grange.core.resources import Capacity, Needs
from grange.core.tasks import Job, Task, TaskKind
from grange.engines import WorkerView
from grange.worker.station.holding import Held, Holding, Phase
from grange.worker.station.machine import Load
from grange.worker.station.routes import Route, Way
from grange.worker.station.signs import Busy, Totals, beat

NOW = 100.0
IDLE = Load(cpu=0.0, load=0.0, memory_used_bytes=0, memory_bytes=1)


def _held(number: int, phase: Phase, since: float) -> Held:
    job = Job(run="r", pipeline="command", params={}, store="file:///out", logs="/logs")
    task = Task(number, 1, TaskKind.PROCESS, f"{number}.txt", "file:///in")
    route = Route(job, job, Way.MOUNT, carries_logs=False)
    return Held(route, task, Needs(), phase, since)


def _holding(*several: Held) -> Holding:
    holding = Holding()
    for held in several:
        holding.add(held)
    return holding


def test_what_was_begun_a_moment_ago_is_told_of() -> None:
    """Though no look at the worker processes has seen it: as many are named as slots are busy."""
    holding = _holding(
        _held(1, Phase.WORKING, 98.0),
        _held(2, Phase.WORKING, 99.0),
        _held(3, Phase.WORKING, 99.5),
        _held(4, Phase.READY, 99.9),
    )
    seen = {2: WorkerView("w1", 2, seconds=0.9, progress=0.5)}

    said = beat(holding, seen, Capacity(slots=2), Totals(), IDLE, lately=0.0, now=NOW)

    assert [(2, 0.9, 0.5), (1, 2.0, None)] == [
        (one.task, one.seconds, one.progress) for one in said.tasks
    ]
    assert (2, 2) == (said.busy, said.held)


@pytest.mark.parametrize(("lately", "busy"), [(0.0, 0), (0.05, 0), (0.2, 1), (1.6, 2), (7.0, 4)])
def test_a_worker_between_two_short_tasks_is_not_idle(lately: float, busy: int) -> None:
    """What has ended since the last beat counts, and never as more than there are slots."""
    said = beat(_holding(), {}, Capacity(slots=4), Totals(), IDLE, lately=lately, now=NOW)

    assert busy == said.busy


def test_time_before_the_last_beat_was_told_of_then() -> None:
    """Of a long task that ends only what is new counts, and each second once."""
    busy = Busy(NOW)
    for number in range(100):
        busy.ended(0.02, NOW + 0.02 * number)
    busy.ended(3600.0, NOW + 2.0)

    assert 2.0 == pytest.approx(busy.lately(NOW + 2.0), abs=0.02)
    assert 0.0 == busy.lately(NOW + 4.0)
