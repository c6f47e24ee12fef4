"""Which inputs of a run take far longer than others, and which fail again and again. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from sqlalchemy import Connection, bindparam, select

from grange.core.states import ItemState, TaskState
from grange.core.tasks import JSON
from grange.db import Database
from grange.runs.tables import Record, attempts, items, tasks

# Of so many items that ended last the usual time is taken, and the slow ones.
LOOKED_AT = 1000
# What takes so many times as long as the usual item is slow; what is quick for a person is not.
SLOW_TIMES = 4.0
SLOW_SECONDS = 2.0
# Of fewer nobody can say what is usual.
FEWEST = 5

_ENDS = (str(ItemState.DONE), str(ItemState.FAILED))


@dataclass(frozen=True, kw_only=True)
class Slow:
    """An item that took far longer than others."""

    item: int
    path: str
    size: int
    seconds: float
    state: ItemState


@dataclass(frozen=True, kw_only=True)
class Failing:
    """An item of which a task has failed and is tried again: now, or from `again_at` on."""

    item: int
    path: str
    tries: int
    again_at: float | None
    failure: dict[str, JSON] | None


@dataclass(frozen=True, kw_only=True)
class Troubles:
    """What to look at. `usual_seconds` is what half of the items take; None while nobody knows."""

    usual_seconds: float | None = None
    slow: Sequence[Slow] = field(default=())
    failing: Sequence[Failing] = field(default=())


def is_slow(seconds: float, usual_seconds: float | None) -> bool:
    """Whether something takes far longer than the usual item."""
    if usual_seconds is None:
        return False
    return seconds >= max(SLOW_SECONDS, SLOW_TIMES * usual_seconds)


def troubles(database: Database, number: int, *, limit: int) -> Troubles:
    """The slowest of the items that ended last, and those that are tried again, the worst first."""
    with database.read() as connection:
        ended = connection.execute(_ENDED, {"number": number}).all()
        failing = _failing(connection, number, limit)
    if len(ended) < FEWEST:
        return Troubles(failing=failing)
    usual = median(row.seconds for row in ended)
    slow = sorted((row for row in ended if is_slow(row.seconds, usual)), key=_seconds)
    return Troubles(
        usual_seconds=usual,
        slow=[
            Slow(
                item=row.id,
                path=row.path,
                size=row.size,
                seconds=row.seconds,
                state=ItemState(row.state),
            )
            for row in reversed(slow[-limit:])
        ],
        failing=failing,
    )


_ENDED = (
    select(items.c.id, items.c.path, items.c.size, items.c.seconds, items.c.state)
    .where(
        items.c.run == bindparam("number"),
        items.c.ended_at.is_not(None),
        items.c.state.in_(_ENDS),
        items.c.reused == 0,
    )
    .order_by(items.c.ended_at.desc())
    .limit(LOOKED_AT)
)


def _seconds(row: Record) -> float:
    return float(row.seconds)


def _failing(connection: Connection, number: int, limit: int) -> list[Failing]:
    """Tasks that wait or are at work are few: the index of states finds them."""
    states = [str(TaskState.WAITING), str(TaskState.RUNNING)]
    query = (
        select(tasks.c.id, tasks.c.item, tasks.c.state, tasks.c.attempts, tasks.c.not_before)
        .add_columns(items.c.path)
        .join(items, items.c.id == tasks.c.item)
        .where(tasks.c.run == number, tasks.c.state.in_(states), tasks.c.attempts > 0)
        .order_by(tasks.c.attempts.desc(), tasks.c.id)
        .limit(limit)
    )
    return [
        Failing(
            item=row.item,
            path=row.path,
            tries=row.attempts,
            again_at=row.not_before if row.state == TaskState.WAITING else None,
            failure=_last_failure(connection, row.id),
        )
        for row in connection.execute(query).all()
    ]


def _last_failure(connection: Connection, task: int) -> dict[str, JSON] | None:
    query = (
        select(attempts.c.failure)
        .where(attempts.c.task == task)
        .order_by(attempts.c.epoch.desc())
        .limit(1)
    )
    found: dict[str, JSON] | None = connection.execute(query).scalar()
    return found
