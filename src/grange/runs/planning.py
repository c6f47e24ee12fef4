"""From waiting items to their first tasks: heaviest first, and nothing that is known already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    Connection,
    Double,
    Insert,
    Integer,
    Select,
    String,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)

from grange.core.states import ItemState, TaskState
from grange.core.tasks import JSON, Task, TaskKind
from grange.db import Chosen, among
from grange.runs.counting import count
from grange.runs.driven import Claimed, Driven
from grange.runs.reuse import Earlier, Reuse, find_reuse
from grange.runs.tables import Record, items, outputs, tasks

# Rows named in one IN list; every database takes so many.
CHUNK = 1000

_INSERT_TASKS = insert(tasks)

PLANNED = (
    items.c.id,
    items.c.path,
    items.c.uri,
    items.c.uri_key,
    items.c.size,
    items.c.mtime_ns,
    items.c.weight,
    items.c.sha256,
    items.c.attempts,
    items.c.seconds,
)

_NEXT = (
    select(*PLANNED)
    .where(
        items.c.run == bindparam("of_run"),
        items.c.weight == bindparam("weighing"),
        items.c.id > bindparam("after"),
        items.c.state == ItemState.WAITING,
    )
    .order_by(items.c.id)
    .limit(bindparam("most", type_=Integer))
)
_BEGUN = Chosen(update(items).values(state=str(ItemState.RUNNING)), items.c.id)
_FIRST_TASKS = select(
    items.c.run,
    items.c.id,
    bindparam("of_kind", type_=String),
    literal(0),
    literal(str(TaskState.RUNNING)),
    items.c.weight,
    literal(1),
    bindparam("until", type_=Double),
)


def _insert_first(chosen: Select[Any]) -> Insert:
    names = ["run", "item", "kind", "part", "state", "weight", "epoch", "lease_until"]
    return insert(tasks).from_select(names, chosen)


_CLAIM = Chosen(_FIRST_TASKS, items.c.id, within=_insert_first)
_CLAIM_TELLING = Chosen(
    _FIRST_TASKS,
    items.c.id,
    within=lambda chosen: _insert_first(chosen).returning(tasks.c.item, tasks.c.id),
)


@dataclass(slots=True)
class Plan:
    """What was decided of some waiting items.

    `plain` go straight to their first task; `special` need another kind of task
    first; `known` are done, since equal work was.
    """

    plain: list[Record] = field(default_factory=list)
    special: list[tuple[Record, TaskKind, JSON]] = field(default_factory=list)
    known: list[tuple[Record, Earlier]] = field(default_factory=list)


def next_items(connection: Connection, driven: Driven, limit: int) -> list[Record]:
    """The next waiting items after the cursor, which moves past them."""
    cursor = driven.cursor
    found: list[Record] = []
    while len(found) < limit and not cursor.at_end:
        if cursor.weight is not None:
            rows = connection.execute(
                _NEXT,
                {
                    "of_run": driven.number,
                    "weighing": cursor.weight,
                    "after": cursor.item,
                    "most": limit - len(found),
                },
            ).all()
            found.extend(rows)
            if rows:
                cursor.item = rows[-1].id
            if len(found) >= limit:
                break
        _next_weight(connection, driven)
    return found


def decide(connection: Connection, driven: Driven, rows: Sequence[Record]) -> Plan:
    """What each of these items needs first."""
    if not driven.kin:
        return Plan(plain=list(rows))
    plan = Plan()
    reuse = find_reuse(connection, driven, rows)
    for row in rows:
        _sort(plan, row, reuse.get(row.id))
    return plan


def begin(
    connection: Connection, driven: Driven, rows: Sequence[Record], *, until: float
) -> list[Claimed]:
    """Make the first tasks of these items, claimed already: the common case in one stroke."""
    claimed: list[Claimed] = []
    kind = first_kind(driven)
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        ids = [row[0] for row in some]
        numbers = _insert_claimed(connection, kind, ids, until)
        claimed += [
            Claimed(
                Task(numbers[item], 1, kind, path, uri, size, mtime_ns, sha256),
                item,
                tries,
                seconds,
            )
            # In the order of PLANNED; names would be looked up ten times for each row.
            for item, path, uri, _, size, mtime_ns, _, sha256, tries, seconds in some
        ]
        _under_way(connection, ids)
    return claimed


def write(connection: Connection, driven: Driven, plan: Plan, *, now: float) -> None:
    """Write the rest of the plan down: tasks that wait, and items that are done."""
    waiting = [(row, first_kind(driven), None) for row in plan.plain] + plan.special
    if waiting:
        add_tasks(
            connection,
            driven,
            [(row.id, kind, 0, row.weight, payload) for row, kind, payload in waiting],
        )
        _under_way(connection, [row.id for row, _, _ in waiting])
    if plan.known:
        _finish_known(connection, plan.known, now)
        count(connection, driven.number, done=len(plan.known), reused=len(plan.known))


def add_tasks(
    connection: Connection,
    driven: Driven,
    rows: Sequence[tuple[int | None, TaskKind, int, int, JSON]],
) -> None:
    """Add waiting tasks, given as (item, kind, part, weight, payload)."""
    connection.execute(
        _INSERT_TASKS,
        [
            {
                "run": driven.number,
                "item": item,
                "kind": str(kind),
                "part": part,
                "state": str(TaskState.WAITING),
                "weight": weight,
                "payload": payload,
            }
            for item, kind, part, weight, payload in rows
        ],
    )


def first_kind(driven: Driven) -> TaskKind:
    """The kind of an item's first real task."""
    return TaskKind.SPLIT if driven.splits else TaskKind.PROCESS


def _insert_claimed(
    connection: Connection, kind: TaskKind, ids: Sequence[int], until: float
) -> dict[int, int]:
    """Insert a claimed task for each item; says each one's number."""
    values = {"of_kind": str(kind), "until": until}
    if connection.dialect.insert_returning:
        rows: Sequence[Record] = _CLAIM_TELLING.execute(connection, ids, **values).all()
    else:
        _CLAIM.execute(connection, ids, **values)
        # Older tasks of an item that was retried have ended, or have an epoch of their own.
        rows = connection.execute(
            select(tasks.c.item, tasks.c.id).where(
                among(tasks.c.item, ids),
                tasks.c.state == TaskState.RUNNING,
                tasks.c.kind == kind,
                tasks.c.epoch == 1,
            )
        ).all()
    return {row[0]: row[1] for row in rows}


def _next_weight(connection: Connection, driven: Driven) -> None:
    cursor = driven.cursor
    query = select(func.max(items.c.weight)).where(items.c.run == driven.number)
    if cursor.weight is not None:
        query = query.where(items.c.weight < cursor.weight)
    cursor.weight, cursor.item = connection.execute(query).scalar(), 0
    cursor.at_end = cursor.weight is None


def _sort(plan: Plan, row: Record, reuse: Reuse | None) -> None:
    if reuse is None:
        plan.plain.append(row)
    elif reuse.in_place is not None:
        plan.known.append((row, reuse.in_place))
    elif reuse.copy is not None:
        plan.special.append((row, TaskKind.COPY, reuse.copy))
    else:
        plan.special.append((row, TaskKind.DIGEST, None))


def _under_way(connection: Connection, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), CHUNK):
        _BEGUN.execute(connection, ids[start : start + CHUNK])


def _finish_known(
    connection: Connection, known: Sequence[tuple[Record, Earlier]], now: float
) -> None:
    connection.execute(
        update(items)
        .where(items.c.id == bindparam("this"))
        .values(
            state=str(ItemState.DONE),
            reused=1,
            sha256=bindparam("digest"),
            work_key=bindparam("work"),
            result=bindparam("record"),
            ended_at=now,
        ),
        [
            {
                "this": row.id,
                "digest": earlier.sha256,
                "work": earlier.work_key,
                "record": earlier.result,
            }
            for row, earlier in known
        ],
    )
    rows = [
        {
            "item": row.id,
            "number": number,
            "path": one.path,
            "size": one.size,
            "sha256": one.sha256,
            "mtime_ns": one.mtime_ns,
        }
        for row, earlier in known
        for number, one in enumerate(earlier.outputs)
    ]
    if rows:
        connection.execute(insert(outputs), rows)
