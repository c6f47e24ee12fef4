"""What outcomes lead to: parts after a split, a merge after the last part, reuse after a digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, case, func, select, update

from grange.core.states import TaskState
from grange.core.tasks import JSON, TaskKind, staging_token
from grange.db import Chosen, among
from grange.runs import planning
from grange.runs.driven import Driven
from grange.runs.planning import Plan
from grange.runs.tables import Record, items, tasks

UNFINISHED = [str(TaskState.WAITING), str(TaskState.RUNNING)]

# The items of which every part is done.
_COMPLETE = Chosen(
    select(tasks.c.item, func.max(tasks.c.weight).label("weight"))
    .where(tasks.c.kind == TaskKind.PROCESS)
    .group_by(tasks.c.item)
    .having(func.sum(case((tasks.c.state.in_(UNFINISHED), 1), else_=0)) == 0),
    tasks.c.item,
)


@dataclass(slots=True)
class Told:
    """What the caller has to do, or to say, about it."""

    plan: Plan = field(default_factory=Plan)
    abandon: list[int] = field(default_factory=list)
    discard: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Followups:
    """What a batch of outcomes leads to, by item; written after the batch itself."""

    new_tasks: list[tuple[int | None, TaskKind, int, int, JSON]] = field(default_factory=list)
    digested: list[int] = field(default_factory=list)
    part_done: set[int] = field(default_factory=set)
    merged: list[int] = field(default_factory=list)

    def split(self, row: Record, parts: Sequence[JSON]) -> None:
        """An item is split: its parts are to be processed; one without parts is merged at once."""
        for number, data in enumerate(parts):
            self.new_tasks.append((row.item, TaskKind.PROCESS, number, row.weight, data))
        if not parts:
            self.new_tasks.append((row.item, TaskKind.MERGE, 0, row.weight, None))

    def write(
        self, connection: Connection, driven: Driven, failed: set[int], *, now: float
    ) -> Told:
        """Write the tasks that follow, and call off those that serve nothing any more."""
        told = Told()
        if failed and driven.splits:
            _call_off(connection, driven, failed, told)
        if self.part_done:
            self._merge_complete(connection, failed)
        if self.new_tasks:
            planning.add_tasks(connection, driven, self.new_tasks)
        if self.merged:
            _discard_parts(connection, driven, self.merged, told)
        if self.digested:
            told.plan = _look_again(connection, driven, self.digested, now)
        return told

    def _merge_complete(self, connection: Connection, failed: set[int]) -> None:
        self.new_tasks += [
            (row.item, TaskKind.MERGE, 0, row.weight, None)
            for row in _COMPLETE.execute(connection, sorted(self.part_done))
            if row.item not in failed
        ]


def _call_off(connection: Connection, driven: Driven, failed: set[int], told: Told) -> None:
    """The other parts of failed items serve nothing any more, nor does what was staged of them."""
    of_failed = among(tasks.c.item, sorted(failed))
    query = select(tasks.c.id, tasks.c.state, tasks.c.epoch).where(of_failed)
    for row in connection.execute(query).all():
        told.discard.append(staging_token(driven.id, row.id, row.epoch))
        if row.state == TaskState.RUNNING:
            told.abandon.append(row.id)
    connection.execute(
        update(tasks)
        .where(of_failed, tasks.c.state.in_(UNFINISHED))
        .values(state=str(TaskState.CANCELLED), lease_until=None)
    )


def _discard_parts(
    connection: Connection, driven: Driven, merged: Sequence[int], told: Told
) -> None:
    query = select(tasks.c.id, tasks.c.epoch).where(
        among(tasks.c.item, merged), tasks.c.kind == TaskKind.PROCESS
    )
    told.discard += [
        staging_token(driven.id, number, epoch) for number, epoch in connection.execute(query)
    ]


def _look_again(
    connection: Connection, driven: Driven, digested: Sequence[int], now: float
) -> Plan:
    """Items whose digest has just become known: their work may be known too."""
    query = select(*planning.PLANNED).where(among(items.c.id, digested))
    plan = planning.decide(connection, driven, connection.execute(query).all())
    planning.write(connection, driven, plan, now=now)
    return plan
