"""How much work there is, by pipeline: for whoever watches the site as a whole. Reads only.

Indexes answer all of it: a run of a million items costs as much as one of ten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from grange.core.states import RunState, TaskState
from grange.db import Database, among
from grange.runs.pages import UNFINISHED
from grange.runs.planning import CHUNK
from grange.runs.tables import Record, items, runs, tasks

# Runs that may be worked on, now or soon.
WANTED = frozenset({RunState.WAITING, RunState.RUNNING})
# Of so many begun runs the last ended item is looked up: more are not worked on at a time.
MOST_BEGUN = 256


@dataclass(slots=True)
class Standing:
    """How the runs of a pipeline stand that have not ended.

    `age_seconds` is how long ago the oldest of them was submitted that has work left and
    is not paused, `quiet_seconds` for how long one of these has seen nothing begin or end.
    """

    runs: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    queued: int = 0
    age_seconds: float = 0.0
    quiet_seconds: float = 0.0


def standing(database: Database, *, now: float) -> dict[str, Standing]:
    """How the runs that have not ended stand, by the pipelines' own names."""
    found: dict[str, Standing] = {}
    with database.read() as connection:
        rows = connection.execute(_UNFINISHED).all()
        begun = [row.number for row in rows if row.started_at is not None]
        looked_up = set(begun[:MOST_BEGUN])
        working = _tasks(connection, begun)
        for row in rows:
            one = found.setdefault(row.pipeline, Standing())
            ended = _last_ended(connection, row) if row.number in looked_up else 0.0
            _add(one, row, working.get(row.number, {}), ended, now)
    return found


_UNFINISHED = select(
    runs.c.number,
    runs.c.pipeline,
    runs.c.state,
    runs.c.created_at,
    runs.c.started_at,
    runs.c.items_total,
    runs.c.items_done,
    runs.c.items_failed,
    runs.c.items_cancelled,
).where(runs.c.state.in_([str(one) for one in UNFINISHED]))


def _add(
    one: Standing, row: Record, working: dict[str, tuple[int, int]], ended: float, now: float
) -> None:
    left = row.items_total - row.items_done - row.items_failed - row.items_cancelled
    # An item of several tasks is with workers as soon as one of these is.
    running = min(left, working.get(TaskState.RUNNING, (0, 0))[1])
    one.runs[row.state] += 1
    one.items["waiting"] += left - running
    one.items["running"] += running
    one.items["done"] += row.items_done
    one.items["failed"] += row.items_failed
    one.items["cancelled"] += row.items_cancelled
    for state, (count, _) in working.items():
        one.tasks[state] += count
    if left and row.state in WANTED:
        one.queued += left
        moved = max(row.created_at, row.started_at or 0.0, ended)
        one.age_seconds = max(one.age_seconds, now - row.created_at)
        one.quiet_seconds = max(one.quiet_seconds, now - moved)


def _tasks(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, tuple[int, int]]]:
    """For each run: how many of its tasks wait or are with workers, and of how many items."""
    found: dict[int, dict[str, tuple[int, int]]] = {}
    states = [str(TaskState.WAITING), str(TaskState.RUNNING)]
    for some in _chunks(numbers):
        query = (
            select(
                tasks.c.run,
                tasks.c.state,
                func.count().label("tasks"),
                func.count(tasks.c.item.distinct()).label("items"),
            )
            .where(among(tasks.c.run, some), tasks.c.state.in_(states))
            .group_by(tasks.c.run, tasks.c.state)
        )
        for row in connection.execute(query):
            found.setdefault(row.run, {})[row.state] = (row.tasks, row.items)
    return found


def _last_ended(connection: Connection, row: Record) -> float:
    query = (
        select(items.c.ended_at)
        .where(items.c.run == row.number, items.c.ended_at.is_not(None))
        .order_by(items.c.ended_at.desc())
        .limit(1)
    )
    return float(connection.execute(query).scalar() or 0.0)


def _chunks(numbers: Sequence[int]) -> Iterable[Sequence[int]]:
    return (numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK))
