"""Claims: which tasks go to the engine now, and how long that holds without a sign of life."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select, update

from grange.core.ids import looks_like_id
from grange.core.states import TaskState
from grange.core.tasks import JSON, Task, TaskKind, staging_token
from grange.db import Database, among
from grange.engines.base import HERE, Holder
from grange.runs import planning
from grange.runs.driven import Claimed, Cursor, Driven
from grange.runs.planning import CHUNK, Plan
from grange.runs.tables import Record, items, tasks

# Items that are looked up at once where some may be known: a query each would cost more.
PLAN_AHEAD = 256
# Known items finished in one transaction, so that others get their turn.
KNOWN_LIMIT = 4096

_CLAIMED = select(
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
    items.c.attempts,
    items.c.seconds,
).join_from(tasks, items, tasks.c.item == items.c.id, isouter=True)


def claim(
    database: Database, driven: Driven, *, limit: int, now: float, lease_seconds: float
) -> tuple[list[Task], Plan]:
    """Claim up to `limit` tasks, planning items as needed; says too which items were known.

    The claim is committed when this returns: each task has an epoch that no other attempt has.
    """
    until = now + lease_seconds
    ahead = PLAN_AHEAD if driven.kin else 0

    def work(connection: Connection) -> tuple[list[Claimed], Plan, Cursor]:
        # The transaction may be run again: the cursor moves only once it is committed.
        trial = replace(driven, cursor=replace(driven.cursor))
        claimed = _waiting(connection, driven, limit, now, until)
        known = Plan()
        # What is known already takes no worker: go on until there is enough that does.
        while len(claimed) < limit and len(known.known) < KNOWN_LIMIT and not trial.cursor.at_end:
            room = limit - len(claimed)
            fresh = planning.next_items(connection, trial, max(room, ahead))
            plan = planning.decide(connection, trial, fresh)
            claimed += planning.begin(connection, trial, plan.plain[:room], until=until)
            del plan.plain[:room]
            planning.write(connection, trial, plan, now=now)
            known.known += plan.known
            if plan.special:
                claimed += _waiting(connection, driven, limit - len(claimed), now, until)
        return claimed, known, trial.cursor

    claimed, plan, driven.cursor = database.transact(work)
    driven.flying.update((one.task.id, one) for one in claimed)
    return [one.task for one in claimed], plan


def renew(database: Database, ids: Collection[int], *, until: float) -> None:
    """Let the leases of these tasks hold until then; those that are not running are left alone."""
    every = list(ids)

    def work(connection: Connection) -> None:
        for start in range(0, len(every), CHUNK):
            connection.execute(
                update(tasks)
                .where(
                    among(tasks.c.id, every[start : start + CHUNK]),
                    tasks.c.state == TaskState.RUNNING,
                )
                .values(lease_until=until)
            )

    if every:
        database.transact(work)


def bind(database: Database, holders: Iterable[Holder]) -> None:
    """Note which worker has which attempt. One that is another's already, or over, stays as it is.

    That is what a worker's key is held against: see `handing`.
    """
    groups: dict[tuple[str, int], list[int]] = {}
    for one in holders:
        # What a station calls itself came from another machine.
        if one.worker == HERE or looks_like_id(one.worker):
            groups.setdefault((one.worker, one.epoch), []).append(one.task)

    def work(connection: Connection) -> None:
        for (worker, epoch), ids in groups.items():
            for start in range(0, len(ids), CHUNK):
                connection.execute(
                    update(tasks)
                    .where(
                        among(tasks.c.id, ids[start : start + CHUNK]),
                        tasks.c.epoch == epoch,
                        tasks.c.state == TaskState.RUNNING,
                        tasks.c.holder.is_(None),
                    )
                    .values(holder=worker)
                )

    if groups:
        database.transact(work)


def take_over(connection: Connection, number: int, *, until: float) -> dict[int, Claimed]:
    """What an earlier driver of the run has claimed, by the tasks' ids; leases hold until then.

    What the tasks are to work on is not in it: whoever has them was told.
    """
    claimed = (tasks.c.run == number) & (tasks.c.state == TaskState.RUNNING)
    connection.execute(update(tasks).where(claimed).values(lease_until=until))
    return {
        row.id: _claimed(row, epoch=row.epoch, payload=None)
        for row in connection.execute(_CLAIMED.where(claimed))
    }


def _waiting(
    connection: Connection, driven: Driven, limit: int, now: float, until: float
) -> list[Claimed]:
    rows = connection.execute(
        _CLAIMED.where(
            tasks.c.run == driven.number,
            tasks.c.state == TaskState.WAITING,
            tasks.c.not_before <= now,
        )
        .order_by(tasks.c.weight.desc(), tasks.c.id)
        .limit(limit)
    ).all()
    for start in range(0, len(rows), CHUNK):
        connection.execute(
            update(tasks)
            .where(among(tasks.c.id, [row.id for row in rows[start : start + CHUNK]]))
            .values(
                state=str(TaskState.RUNNING),
                epoch=tasks.c.epoch + 1,
                lease_until=until,
                holder=None,
            )
        )
    merging = [row.item for row in rows if row.kind == TaskKind.MERGE]
    parts = _parts(connection, driven, merging) if merging else {}
    return [
        _claimed(
            row,
            epoch=row.epoch + 1,
            payload={"parts": parts[row.item]} if row.kind == TaskKind.MERGE else row.payload,
        )
        for row in rows
    ]


def _claimed(row: Record, *, epoch: int, payload: JSON) -> Claimed:
    task = Task(
        id=row.id,
        epoch=epoch,
        kind=TaskKind(row.kind),
        path=row.path or "",
        uri=row.uri or "",
        size=row.size or 0,
        mtime_ns=row.mtime_ns or 0,
        sha256=row.sha256,
        part=row.part,
        payload=payload,
    )
    return Claimed(task, row.item or 0, row.attempts or 0, row.seconds or 0.0)


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
