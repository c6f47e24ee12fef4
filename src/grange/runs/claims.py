"""Claims: which tasks go to the engine now, and how long that holds without a sign of life."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Integer, bindparam, or_, select, update

from grange.core.ids import looks_like_id
from grange.core.states import TaskState
from grange.core.tasks import JSON, Task, TaskKind, staging_token
from grange.db import Chosen, Database, among
from grange.engines.base import HERE, Holder
from grange.runs import planning
from grange.runs.driven import Claimed, Cursor, Driven
from grange.runs.machine import LONGEST_DELAY_SECONDS
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

_WAITING = (
    _CLAIMED.where(
        tasks.c.run == bindparam("of_run"),
        tasks.c.state == TaskState.WAITING,
        # Nobody is made to wait for longer: such a time is one of before the clock was set back.
        or_(
            tasks.c.not_before <= bindparam("now"),
            tasks.c.not_before - LONGEST_DELAY_SECONDS > bindparam("now"),
        ),
    )
    .order_by(tasks.c.weight.desc(), tasks.c.id)
    .limit(bindparam("most", type_=Integer))
)
_GIVE_OUT = Chosen(
    update(tasks).values(
        state=str(TaskState.RUNNING),
        epoch=tasks.c.epoch + 1,
        lease_until=bindparam("until"),
        holder=None,
    ),
    tasks.c.id,
)
_PARTS = Chosen(
    select(tasks.c.item, tasks.c.part, tasks.c.result, tasks.c.id, tasks.c.epoch)
    .where(tasks.c.kind == TaskKind.PROCESS, tasks.c.state == TaskState.DONE)
    .order_by(tasks.c.item, tasks.c.part, tasks.c.id),
    tasks.c.item,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """So many tasks at the most are wanted, under leases that hold until then."""

    limit: int
    now: float
    until: float


@dataclass(slots=True)
class Draw:
    """What a transaction has claimed, and which items it found to be known: see `hold`."""

    claimed: list[Claimed]
    known: Plan
    cursor: Cursor


def claim(
    database: Database, driven: Driven, *, limit: int, now: float, lease_seconds: float
) -> tuple[list[Task], Plan]:
    """Claim up to `limit` tasks, planning items as needed; says too which items were known.

    The claim is committed when this returns: each task has an epoch that no other attempt has.
    """
    wish = Wish(limit, now, now + lease_seconds)
    return hold(driven, database.transact(lambda connection: draw(connection, driven, wish)))


def draw(connection: Connection, driven: Driven, wish: Wish) -> Draw:
    """Claim tasks in a transaction of the caller's. `hold` them once that is committed."""
    ahead = PLAN_AHEAD if driven.kin else 0
    # The transaction may be run again: the cursor moves only once it is committed.
    trial = replace(driven, cursor=replace(driven.cursor))
    claimed = _waiting(connection, driven, wish, wish.limit)
    known = Plan()
    # What is known already takes no worker: go on until there is enough that does.
    while len(claimed) < wish.limit and len(known.known) < KNOWN_LIMIT and not trial.cursor.at_end:
        room = wish.limit - len(claimed)
        fresh = planning.next_items(connection, trial, max(room, ahead))
        plan = planning.decide(connection, trial, fresh)
        claimed += planning.begin(connection, trial, plan.plain[:room], until=wish.until)
        del plan.plain[:room]
        planning.write(connection, trial, plan, now=wish.now)
        known.known += plan.known
        if plan.special:
            claimed += _waiting(connection, driven, wish, wish.limit - len(claimed))
    return Draw(claimed, known, trial.cursor)


def hold(driven: Driven, drawn: Draw) -> tuple[list[Task], Plan]:
    """Take in hand what was claimed and is committed: these tasks are flying from now on."""
    driven.cursor = drawn.cursor
    driven.flying.update((one.task.id, one) for one in drawn.claimed)
    return [one.task for one in drawn.claimed], drawn.known


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


def _waiting(connection: Connection, driven: Driven, wish: Wish, limit: int) -> list[Claimed]:
    rows = connection.execute(
        _WAITING, {"of_run": driven.number, "now": wish.now, "most": limit}
    ).all()
    for start in range(0, len(rows), CHUNK):
        ids = [row.id for row in rows[start : start + CHUNK]]
        _GIVE_OUT.execute(connection, ids, until=wish.until)
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
    found: dict[int, dict[int, JSON]] = {item: {} for item in merging}
    for row in _PARTS.execute(connection, merging):
        # After a retry a part may have been done twice; the later one's files are there.
        found[row.item][row.part] = {
            "number": row.part,
            "result": row.result,
            "token": staging_token(driven.id, row.id, row.epoch),
        }
    return {item: list(parts.values()) for item, parts in found.items()}
