"""Outcomes: what came of attempts, written into the ledger in batches, late ones refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from grange.core.events import ItemEnded
from grange.core.states import AttemptEnd, ItemState, TaskState
from grange.core.tasks import (
    JSON,
    Failure,
    Outcome,
    OutcomeState,
    Output,
    TaskKind,
    staging_token,
)
from grange.db import Database
from grange.runs import machine, planning
from grange.runs.counting import count
from grange.runs.driven import Driven
from grange.runs.keys import work_key
from grange.runs.machine import TaskRecord, Verdict
from grange.runs.planning import CHUNK
from grange.runs.tables import Record, attempts, items, outputs, tasks

LOST = Failure("worker.lost", "The worker fell silent; its lease on the task ran out.")


@dataclass(frozen=True, slots=True)
class Publication:
    """An item whose result is accepted: its staged outputs are to be put under its name."""

    item: int
    token: str
    outputs: tuple[Output, ...]
    ended: ItemEnded


@dataclass(slots=True)
class Concluded:
    """What a batch of outcomes came to."""

    ended: list[ItemEnded] = field(default_factory=list)
    publish: list[Publication] = field(default_factory=list)
    abandon: list[int] = field(default_factory=list)  # tasks whose work serves nothing any more
    discard: list[str] = field(default_factory=list)  # staging that nobody will publish
    refused: list[Outcome] = field(default_factory=list)
    report_failed: Failure | None = None


def conclude(
    database: Database, driven: Driven, outcomes: Sequence[Outcome], *, now: float
) -> Concluded:
    """Commit a batch of outcomes. Outcomes of attempts that no longer count are refused.

    An item with outputs is not done yet when this returns: `publish` lists it.
    """
    return database.transact(lambda connection: _Writer(connection, driven, now).take(outcomes))


def sweep(database: Database, driven: Driven, *, now: float) -> Concluded:
    """Count as lost, and give out again, what is claimed under a lease that ran out."""

    def work(connection: Connection) -> Concluded:
        query = select(tasks.c.id, tasks.c.epoch).where(
            tasks.c.run == driven.number,
            tasks.c.state == TaskState.RUNNING,
            tasks.c.lease_until <= now,
        )
        overdue = [
            Outcome(task=row.id, epoch=row.epoch, state=OutcomeState.LOST, failure=LOST)
            for row in connection.execute(query)
        ]
        return _Writer(connection, driven, now).take(overdue) if overdue else Concluded()

    return database.transact(work)


class _Writer:
    """One batch: first decides in memory, then writes a few statements for all of it."""

    def __init__(self, connection: Connection, driven: Driven, now: float) -> None:
        self.connection = connection
        self.driven = driven
        self.now = now
        self.answer = Concluded()
        self.items: dict[int, Record] = {}
        self.attempts: list[dict[str, JSON]] = []
        self.tasks_done: list[int] = []
        self.tasks_kept: list[dict[str, JSON]] = []
        self.tasks_moved: list[dict[str, JSON]] = []
        self.items_done: list[dict[str, JSON]] = []
        self.items_failed: list[dict[str, JSON]] = []
        self.tried: dict[int, list[float]] = {}
        self.digests: dict[int, str] = {}
        self.new_tasks: list[tuple[int | None, TaskKind, int, int, JSON]] = []
        self.outputs: list[dict[str, JSON]] = []
        self.look_again: list[int] = []  # items whose digest is known now
        self.parts_done: set[int] = set()

    def take(self, outcomes: Sequence[Outcome]) -> Concluded:
        rows = self._load([outcome.task for outcome in outcomes])
        records = {number: _record(row) for number, row in rows.items()}
        for outcome in outcomes:
            record = records.get(outcome.task)
            verdict = record and machine.conclude(
                record,
                outcome.state,
                epoch=outcome.epoch,
                retryable=outcome.failure is None or outcome.failure.retryable,
                policy=self.driven.policy,
                now=self.now,
            )
            if not verdict:
                self.answer.refused.append(outcome)
                continue
            records[outcome.task] = verdict.task
            self._apply(rows[outcome.task], outcome, verdict)
        self._write()
        return self.answer

    def _load(self, ids: Sequence[int]) -> dict[int, Record]:
        rows: dict[int, Record] = {}
        for start in range(0, len(ids), CHUNK):
            query = select(
                tasks.c.id,
                tasks.c.item,
                tasks.c.kind,
                tasks.c.part,
                tasks.c.state,
                tasks.c.epoch,
                tasks.c.attempts,
                tasks.c.weight,
                tasks.c.payload,
            ).where(tasks.c.id.in_(ids[start : start + CHUNK]))
            found = self.connection.execute(query.with_for_update()).all()
            rows |= {row.id: row for row in found}
        wanted = sorted({row.item for row in rows.values() if row.item is not None})
        for start in range(0, len(wanted), CHUNK):
            chosen = select(
                items.c.id, items.c.path, items.c.attempts, items.c.seconds, items.c.sha256
            ).where(items.c.id.in_(wanted[start : start + CHUNK]))
            self.items |= {row.id: row for row in self.connection.execute(chosen)}
        return rows

    def _apply(self, row: Record, outcome: Outcome, verdict: Verdict) -> None:
        if verdict.end is not AttemptEnd.RETURNED:
            self._remember(row, outcome, verdict)
        state = verdict.task.state
        if state is TaskState.DONE:
            self._done(row, outcome)
            return
        self._discard(outcome)
        self.tasks_moved.append(
            {
                "this": verdict.task.id,
                "to": str(state),
                "tries": verdict.task.attempts,
                "after": verdict.task.not_before,
            }
        )
        if state is TaskState.FAILED:
            self._failed(row, outcome)

    def _remember(self, row: Record, outcome: Outcome, verdict: Verdict) -> None:
        self.attempts.append(
            {
                "task": row.id,
                "epoch": verdict.epoch,
                "end": str(verdict.end),
                "worker": outcome.worker,
                "ended_at": self.now,
                "seconds": outcome.seconds,
                "peak_bytes": outcome.peak_bytes,
                "failure": asdict(outcome.failure) if outcome.failure else None,
            }
        )
        if row.item is not None:
            tried = self.tried.setdefault(row.item, [0, 0.0])
            tried[0] += verdict.end is not AttemptEnd.DONE
            tried[1] += outcome.seconds
            if outcome.sha256:
                self.digests[row.item] = outcome.sha256

    def _done(self, row: Record, outcome: Outcome) -> None:
        kind = TaskKind(row.kind)
        if kind is TaskKind.PROCESS and self.driven.splits:
            self.tasks_kept.append(
                {
                    "this": row.id,
                    "record": outcome.result,
                    "files": [one.path for one in outcome.outputs],
                }
            )
            self.parts_done.add(row.item)
            return
        self.tasks_done.append(row.id)
        if kind is TaskKind.DIGEST:
            self.look_again.append(row.item)
        elif kind is TaskKind.SPLIT:
            parts = outcome.result or []
            self.new_tasks += [
                (row.item, TaskKind.PROCESS, number, row.weight, data)
                for number, data in enumerate(parts)
            ]
            if not parts:
                self.new_tasks.append((row.item, TaskKind.MERGE, 0, row.weight, None))
        elif kind is TaskKind.REPORT:
            pass
        else:
            result = row.payload["result"] if kind is TaskKind.COPY else outcome.result
            self._item_done(row, outcome, result, reused=kind is TaskKind.COPY)

    def _item_done(self, row: Record, outcome: Outcome, result: JSON, *, reused: bool) -> None:
        item = self.items[row.item]
        number, seconds = self.tried[row.item]
        digest = self.digests.get(row.item) or item.sha256
        key = None
        if digest:
            key = work_key(self.driven.function_key, digest, self.driven.name_of(item.path))
        token = staging_token(self.driven.id, outcome.task, outcome.epoch)
        state = ItemState.PUBLISHING if outcome.outputs else ItemState.DONE
        # A copy is no attempt: the work was done before.
        tries = item.attempts + int(number) + (not reused)
        self.items_done.append(
            {
                "this": row.item,
                "to": str(state),
                "tries": tries,
                "took": item.seconds + seconds,
                "digest": digest,
                "work": key,
                "again": int(reused),
                "staged": token if outcome.outputs else None,
                "record": result,
            }
        )
        self.tried.pop(row.item)
        self.digests.pop(row.item, None)
        ended = ItemEnded(
            run=self.driven.id,
            path=item.path,
            state=ItemState.DONE,
            seconds=item.seconds + seconds,
            attempts=tries,
            reused=reused,
            outputs=len(outcome.outputs),
        )
        if not outcome.outputs:
            self.answer.ended.append(ended)
            return
        self.answer.publish.append(Publication(row.item, token, outcome.outputs, ended))
        self.outputs += [
            {
                "item": row.item,
                "number": place,
                "path": one.path,
                "size": one.size,
                "sha256": one.sha256,
                "mtime_ns": one.mtime_ns,
            }
            for place, one in enumerate(outcome.outputs)
        ]

    def _failed(self, row: Record, outcome: Outcome) -> None:
        failure = outcome.failure or LOST
        if row.item is None:
            self.answer.report_failed = failure
            return
        item = self.items[row.item]
        if row.kind == TaskKind.COPY:
            # The earlier result is not what it was: do the work after all.
            first = planning.first_kind(self.driven)
            self.new_tasks.append((row.item, first, 0, row.weight, None))
            return
        if row.item not in self.tried:
            return  # Another part has failed the item in this very batch.
        number, seconds = self.tried.pop(row.item)
        tries = item.attempts + int(number)
        self.items_failed.append(
            {
                "this": row.item,
                "tries": tries,
                "took": item.seconds + seconds,
                "digest": self.digests.pop(row.item, None) or item.sha256,
                "code": failure.code,
                "why": asdict(failure),
            }
        )
        self.answer.ended.append(
            ItemEnded(
                run=self.driven.id,
                path=item.path,
                state=ItemState.FAILED,
                seconds=item.seconds + seconds,
                attempts=tries,
                failure=asdict(failure),
            )
        )

    def _discard(self, outcome: Outcome) -> None:
        self.answer.discard.append(staging_token(self.driven.id, outcome.task, outcome.epoch))

    def _write(self) -> None:
        if self.attempts:
            self.connection.execute(insert(attempts), self.attempts)
        self._write_tasks()
        self._write_items()
        if self.new_tasks:
            planning.add_tasks(self.connection, self.driven, self.new_tasks)
        if self.look_again:
            self._look_again()
        if self.parts_done:
            self._merge_complete()
        count(
            self.connection,
            self.driven.number,
            done=sum(one["to"] == ItemState.DONE for one in self.items_done),
            failed=len(self.items_failed),
            reused=sum(one["to"] == ItemState.DONE and one["again"] for one in self.items_done),
        )

    def _write_tasks(self) -> None:
        for start in range(0, len(self.tasks_done), CHUNK):
            self.connection.execute(
                update(tasks)
                .where(tasks.c.id.in_(self.tasks_done[start : start + CHUNK]))
                .values(state=str(TaskState.DONE), attempts=tasks.c.attempts + 1, lease_until=None)
            )
        if self.tasks_kept:
            self.connection.execute(
                update(tasks)
                .where(tasks.c.id == bindparam("this"))
                .values(
                    state=str(TaskState.DONE),
                    attempts=tasks.c.attempts + 1,
                    lease_until=None,
                    result=bindparam("record"),
                    outputs=bindparam("files"),
                ),
                self.tasks_kept,
            )
        if self.tasks_moved:
            self.connection.execute(
                update(tasks)
                .where(tasks.c.id == bindparam("this"))
                .values(
                    state=bindparam("to"),
                    attempts=bindparam("tries"),
                    not_before=bindparam("after"),
                    lease_until=None,
                ),
                self.tasks_moved,
            )

    def _write_items(self) -> None:
        if self.items_done:
            self.connection.execute(
                _ITEM_DONE, [{**one, "at": self.now} for one in self.items_done]
            )
        if self.items_failed:
            self.connection.execute(
                _ITEM_FAILED, [{**one, "at": self.now} for one in self.items_failed]
            )
            self._call_off([one["this"] for one in self.items_failed])
        if self.tried:
            self.connection.execute(
                update(items)
                .where(items.c.id == bindparam("this"))
                .values(
                    attempts=items.c.attempts + bindparam("more"),
                    seconds=items.c.seconds + bindparam("took"),
                    sha256=func.coalesce(bindparam("digest"), items.c.sha256),
                ),
                [
                    {
                        "this": item,
                        "more": int(number),
                        "took": seconds,
                        "digest": self.digests.get(item),
                    }
                    for item, (number, seconds) in self.tried.items()
                ],
            )
        if self.outputs:
            self._forget_outputs({one["item"] for one in self.outputs})
            self.connection.execute(insert(outputs), self.outputs)

    def _forget_outputs(self, of: set[int]) -> None:
        """An item that is published a second time (its staging was lost) has new outputs."""
        every = sorted(of)
        for start in range(0, len(every), CHUNK):
            self.connection.execute(
                delete(outputs).where(outputs.c.item.in_(every[start : start + CHUNK]))
            )

    def _call_off(self, failed: Sequence[int]) -> None:
        """The other parts of a failed item serve nothing any more."""
        if not self.driven.splits:
            return
        query = select(tasks.c.id, tasks.c.state, tasks.c.epoch).where(tasks.c.item.in_(failed))
        for row in self.connection.execute(query).all():
            token = staging_token(self.driven.id, row.id, row.epoch)
            self.answer.discard.append(token)
            if row.state == TaskState.RUNNING:
                self.answer.abandon.append(row.id)
        self.connection.execute(
            update(tasks)
            .where(
                tasks.c.item.in_(failed),
                tasks.c.state.in_([str(TaskState.WAITING), str(TaskState.RUNNING)]),
            )
            .values(state=str(TaskState.CANCELLED), lease_until=None)
        )

    def _look_again(self) -> None:
        """Items whose digest has just become known: their work may be known too."""
        query = select(*planning.PLANNED).where(items.c.id.in_(self.look_again))
        rows = self.connection.execute(query).all()
        plan = planning.decide(self.connection, self.driven, rows)
        planning.write(self.connection, self.driven, plan, now=self.now)
        if plan.known:
            count(self.connection, self.driven.number, done=len(plan.known), reused=len(plan.known))
            self.answer.ended += known_ended(self.driven, plan)

    def _merge_complete(self) -> None:
        """Items of which the last part is done are to be merged."""
        query = (
            select(tasks.c.item, func.max(tasks.c.weight))
            .where(tasks.c.item.in_(sorted(self.parts_done)), tasks.c.kind == TaskKind.PROCESS)
            .group_by(tasks.c.item)
            .having(
                func.sum(
                    (tasks.c.state.in_([str(TaskState.WAITING), str(TaskState.RUNNING)])).cast(
                        tasks.c.part.type
                    )
                )
                == 0
            )
        )
        complete = [
            (item, TaskKind.MERGE, 0, weight, None)
            for item, weight in self.connection.execute(query)
            if item not in {one["this"] for one in self.items_failed}
        ]
        if complete:
            planning.add_tasks(self.connection, self.driven, complete)


def known_ended(driven: Driven, plan: planning.Plan) -> list[ItemEnded]:
    """The events of items that were done by finding equal work."""
    return [
        ItemEnded(
            run=driven.id,
            path=row.path,
            state=ItemState.DONE,
            seconds=0.0,
            attempts=0,
            reused=True,
            outputs=len(earlier.outputs),
        )
        for row, earlier in plan.known
    ]


_ITEM_DONE = (
    update(items)
    .where(items.c.id == bindparam("this"))
    .values(
        state=bindparam("to"),
        attempts=bindparam("tries"),
        seconds=bindparam("took"),
        sha256=bindparam("digest"),
        work_key=bindparam("work"),
        reused=bindparam("again"),
        token=bindparam("staged"),
        result=bindparam("record"),
        ended_at=bindparam("at"),
    )
)

_ITEM_FAILED = (
    update(items)
    .where(items.c.id == bindparam("this"))
    .values(
        state=str(ItemState.FAILED),
        attempts=bindparam("tries"),
        seconds=bindparam("took"),
        sha256=bindparam("digest"),
        failure_code=bindparam("code"),
        failure=bindparam("why"),
        ended_at=bindparam("at"),
    )
)


def _record(row: Record) -> TaskRecord:
    return TaskRecord(id=row.id, state=TaskState(row.state), epoch=row.epoch, attempts=row.attempts)
