"""Who did what when: the newest work on a run, from the ledger. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from grange.core.states import ItemState
from grange.db import Database
from grange.runs.models import ItemView
from grange.runs.queries import item_of, outputs_of
from grange.runs.tables import attempts, items, tasks

_ENDS = tuple(str(one) for one in ItemState if one.is_finished())


@dataclass(frozen=True, kw_only=True)
class Span:
    """One attempt on a worker's time line."""

    worker: str
    began_at: float
    ended_at: float
    end: str
    item: int
    path: str


def newest_spans(database: Database, number: int, *, limit: int) -> list[Span]:
    """What workers did for the items that ended last, in the order of time."""
    last = (
        select(items.c.id, items.c.path)
        .where(items.c.run == number, items.c.ended_at.is_not(None))
        .order_by(items.c.ended_at.desc())
        .limit(limit)
        .subquery()
    )
    query = (
        select(attempts, last.c.id.label("item"), last.c.path)
        .join(tasks, tasks.c.id == attempts.c.task)
        .join(last, last.c.id == tasks.c.item)
        .order_by(attempts.c.ended_at.desc())
    )
    with database.read() as connection:
        rows = connection.execute(query.limit(limit)).all()
    return [
        Span(
            worker=row.worker,
            began_at=row.ended_at - row.seconds,
            ended_at=row.ended_at,
            end=row.end,
            item=row.item,
            path=row.path,
        )
        for row in reversed(rows)
    ]


def newest_ended(database: Database, number: int, *, limit: int) -> list[ItemView]:
    """The items that ended last, the newest first."""
    query = (
        select(items)
        .where(items.c.run == number, items.c.ended_at.is_not(None), items.c.state.in_(_ENDS))
        .order_by(items.c.ended_at.desc(), items.c.id.desc())
    )
    with database.read() as connection:
        rows = connection.execute(query.limit(limit)).all()
        files = outputs_of(connection, rows)
    return [item_of(row, files.get(row.id, ())) for row in rows]
