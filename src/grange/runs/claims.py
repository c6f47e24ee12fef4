"""Claims: which tasks go to the engine now, and how long that holds without a sign of life."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select, update

from grange.core.states import TaskState
from grange.core.tasks import JSON, Task, TaskKind, staging_token
from grange.db import Database
from grange.runs import planning
from grange.runs.driven import Cursor, Driven
from grange.runs.planning import CHUNK, Plan
from grange.runs.tables import Record, items, tasks


def claim(
    database: Database, driven: Driven, *, limit: int, now: float, lease_seconds: float
) -> tuple[list[Task], Plan]:
    """Claim up to `limit` tasks, planning items as needed; says too which items were known.

    The claim is committed when this returns: each task has an epoch that no other attempt has.
    """

    def work(connection: Connection) -> tuple[list[Task], Plan, Cursor]:
        # The transaction may be run again: the cursor moves only once it is committed.
        trial = replace(driven, cursor=replace(driven.cursor))
        rows = _ready(connection, driven, limit, now)
        plan = Plan()
        if len(rows) < limit:
            fresh = planning.next_items(connection, trial, limit - len(rows))
            if fresh:
                plan = planning.decide(connection, trial, fresh)
                planning.write(connection, trial, plan, now=now)
                rows = _ready(connection, driven, limit, now)
        _take(connection, rows, now + lease_seconds)
        return _messages(connection, driven, rows), plan, trial.cursor

    claimed, plan, driven.cursor = database.transact(work)
    return claimed, plan


def renew(database: Database, ids: Collection[int], *, until: float) -> None:
    """Let the leases of these tasks hold until then; those that are not running are left alone."""
    every = list(ids)

    def work(connection: Connection) -> None:
        for start in range(0, len(every), CHUNK):
            connection.execute(
                update(tasks)
                .where(
                    tasks.c.id.in_(every[start : start + CHUNK]),
                    tasks.c.state == TaskState.RUNNING,
                )
                .values(lease_until=until)
            )

    if every:
        database.transact(work)


def _ready(connection: Connection, driven: Driven, limit: int, now: float) -> Sequence[Record]:
    return connection.execute(
        select(
            tasks.c.id,
            tasks.c.epoch,
            tasks.c.kind,
            tasks.c.part,
            tasks.c.payload,
            tasks.c.item,
            items.c.path,
            items.c.uri,
            items.c.size,
            items.c.mtime_ns,
            items.c.sha256,
        )
        .join_from(tasks, items, tasks.c.item == items.c.id, isouter=True)
        .where(
            tasks.c.run == driven.number,
            tasks.c.state == TaskState.WAITING,
            tasks.c.not_before <= now,
        )
        .order_by(tasks.c.weight.desc(), tasks.c.id)
        .limit(limit)
    ).all()


def _take(connection: Connection, rows: Sequence[Record], until: float) -> None:
    for start in range(0, len(rows), CHUNK):
        connection.execute(
            update(tasks)
            .where(tasks.c.id.in_([row.id for row in rows[start : start + CHUNK]]))
            .values(
                state=str(TaskState.RUNNING),
                epoch=tasks.c.epoch + 1,
                lease_until=until,
            )
        )


def _messages(connection: Connection, driven: Driven, rows: Sequence[Record]) -> list[Task]:
    merges = [row.item for row in rows if row.kind == TaskKind.MERGE]
    parts = _parts(connection, driven, merges) if merges else {}
    return [
        Task(
            id=row.id,
            epoch=row.epoch + 1,
            kind=TaskKind(row.kind),
            path=row.path or "",
            uri=row.uri or "",
            size=row.size or 0,
            mtime_ns=row.mtime_ns or 0,
            sha256=row.sha256,
            part=row.part,
            payload={"parts": parts[row.item]} if row.kind == TaskKind.MERGE else row.payload,
        )
        for row in rows
    ]


def _parts(connection: Connection, driven: Driven, merging: Sequence[int]) -> dict[int, list[JSON]]:
    """For each item that is to be merged: its parts' results, and where their files are staged."""
    query = (
        select(tasks.c.item, tasks.c.part, tasks.c.result, tasks.c.id, tasks.c.epoch)
        .where(
            tasks.c.item.in_(merging),
            tasks.c.kind == TaskKind.PROCESS,
            tasks.c.state == TaskState.DONE,
        )
        .order_by(tasks.c.item, tasks.c.part, tasks.c.id)
    )
    found: dict[int, dict[int, JSON]] = {item: {} for item in merging}
    for row in connection.execute(query):
        # After a retry a part may have been done twice; the later one's files are there.
        found[row.item][row.part] = {
            "number": row.part,
            "result": row.result,
            "token": staging_token(driven.id, row.id, row.epoch),
        }
    return {item: list(parts.values()) for item, parts in found.items()}
