"""Outcomes: what came of attempts, written into the ledger in batches, late ones refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, bindparam, select, update

from grange.core.events import ItemEnded, Tried
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
from grange.db import Chosen, Database
from grange.runs import claims, followups, machine, planning
from grange.runs.claims import Draw, Wish
from grange.runs.counting import count
from grange.runs.driven import Claimed, Driven
from grange.runs.keys import work_key
from grange.runs.machine import TaskRecord, Verdict
from grange.runs.planning import CHUNK
from grange.runs.tables import Record, items, tasks
from grange.runs.writes import ItemEnd, Writes

LOST = Failure("worker.lost", "The worker fell silent; its lease on the task ran out.")

# A task may come back unseen so often before that counts as an attempt.
MOST_MISSED = 5

_TASKS = Chosen(
    select(
        tasks.c.id,
        tasks.c.item,
        tasks.c.kind,
        tasks.c.part,
        tasks.c.state,
        tasks.c.epoch,
        tasks.c.attempts,
        tasks.c.weight,
        tasks.c.payload,
    ).with_for_update(),
    tasks.c.id,
)
_ITEMS = Chosen(
    select(items.c.id, items.c.path, items.c.attempts, items.c.seconds, items.c.sha256),
    items.c.id,
)
_PLAIN_DONE = Chosen(
    update(tasks)
    .where(tasks.c.epoch == bindparam("now_at"), tasks.c.state == TaskState.RUNNING)
    .values(state=str(TaskState.DONE), attempts=tasks.c.attempts + 1, lease_until=None),
    tasks.c.id,
)


@dataclass(slots=True)
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
    tried: list[Tried] = field(default_factory=list)
    drawn: Draw | None = None  # what was claimed along with it


def conclude(
    database: Database,
    driven: Driven,
    outcomes: Sequence[Outcome],
    *,
    now: float,
    wish: Wish | None = None,
) -> Concluded:
    """Commit a batch of outcomes. Outcomes of attempts that no longer count are refused.

    An item with outputs is not done yet when this returns: `publish` lists it. With a
    `wish`, what can be given out then is claimed by the same commit: `drawn`.
    """
    plain, rest = _sorted(driven, outcomes)

    def work(plain: Sequence[Outcome], rest: Sequence[Outcome]) -> Concluded:
        def take(connection: Connection) -> Concluded:
            answer = _Conclusion(connection, driven, now).take(plain, rest)
            if wish is not None:
                answer.drawn = claims.draw(connection, driven, wish)
            return answer

        return database.transact(take)

    try:
        return work(plain, rest)
    except _NotAllHeldError:
        return work([], outcomes)


def sweep(database: Database, driven: Driven, *, now: float) -> Concluded:
    """Give out again what is claimed under a lease that ran out.

    That counts as lost, unless the engine outlives its drivers and no worker was ever
    seen at it: then it is the message that was lost.
    """

    def work(connection: Connection) -> Concluded:
        query = select(tasks.c.id, tasks.c.epoch, tasks.c.attempts).where(
            tasks.c.run == driven.number,
            tasks.c.state == TaskState.RUNNING,
            tasks.c.lease_until <= now,
        )
        overdue = [_overdue(driven, row) for row in connection.execute(query)]
        answer = _Conclusion(connection, driven, now).take([], overdue)
        if driven.lasting:
            # Should it turn up after all, nobody is to work on it.
            answer.abandon += [one.task for one in overdue]
        return answer

    return database.transact(work)


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


def _overdue(driven: Driven, row: Record) -> Outcome:
    # What goes missing again and again is somebody's end before anybody could see it begin.
    missed = row.epoch - row.attempts
    if driven.lasting and row.id not in driven.begun and missed <= MOST_MISSED:
        return Outcome(task=row.id, epoch=row.epoch, state=OutcomeState.RETURNED)
    return Outcome(task=row.id, epoch=row.epoch, state=OutcomeState.LOST, failure=LOST)


class _NotAllHeldError(Exception):
    """Some task of the plain ones is not this attempt's any more: look at each."""


def _sorted(driven: Driven, outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """The plain ones, each of another task, and the rest."""
    plain: dict[int, Outcome] = {}
    rest: list[Outcome] = []
    for one in outcomes:
        if one.task not in plain and _is_plain(driven, one):
            plain[one.task] = one
        else:
            rest.append(one)
    return list(plain.values()), rest


def _is_plain(driven: Driven, outcome: Outcome) -> bool:
    """Whether this is the common case: an item's only task, done, by an attempt of this driver."""
    claimed = driven.flying.get(outcome.task)
    return (
        outcome.state is OutcomeState.DONE
        and claimed is not None
        and claimed.task.epoch == outcome.epoch
        and (outcome.merged if driven.splits else claimed.task.kind is TaskKind.PROCESS)
    )


class _Conclusion:
    """One batch: decides in memory, then writes a few statements for all of it."""

    def __init__(self, connection: Connection, driven: Driven, now: float) -> None:
        self.connection = connection
        self.driven = driven
        self.now = now
        self.answer = Concluded()
        self.writes = Writes(now)
        self.later = followups.Followups()
        self.costs: dict[int, _Cost] = {}

    def take(self, plain: Sequence[Outcome], rest: Sequence[Outcome]) -> Concluded:
        if plain:
            self._take_plain(plain)
        if rest:
            self._take_each(rest)
        self.writes.items_tried = [
            {
                "this": item,
                "more": cost.more_tries,
                "took": cost.more_seconds,
                "digest": cost.digest,
            }
            for item, cost in self.costs.items()
            if cost.open
        ]
        self.writes.write(self.connection)
        failed = {cost.item for cost in self.costs.values() if cost.failed}
        told = self.later.write(self.connection, self.driven, failed, now=self.now)
        self.answer.abandon += told.abandon
        self.answer.discard += told.discard
        self.answer.ended += known_ended(self.driven, told.plan)
        count(
            self.connection,
            self.driven.number,
            done=self.writes.done,
            failed=len(self.writes.items_failed),
            reused=self.writes.reused,
        )
        return self.answer

    def _take_plain(self, outcomes: Sequence[Outcome]) -> None:
        """What `machine.conclude` says of a done attempt that still counts, for all at once."""
        epochs: dict[int, list[int]] = {}
        for outcome in outcomes:
            epochs.setdefault(outcome.epoch, []).append(outcome.task)
        for epoch, ids in epochs.items():
            for start in range(0, len(ids), CHUNK):
                some = ids[start : start + CHUNK]
                result = _PLAIN_DONE.execute(self.connection, some, now_at=epoch)
                if result.rowcount != len(some):
                    raise _NotAllHeldError
        tried, end = self.answer.tried, AttemptEnd.DONE
        for outcome in outcomes:
            claimed = self.driven.flying[outcome.task]
            self.writes.attempt(outcome, "done")
            self._plain_done(claimed, outcome)
            task = claimed.task
            tried.append(Tried(task.kind, task.size, outcome, end, last=True))

    def _plain_done(self, claimed: Claimed, outcome: Outcome) -> None:
        task, driven = claimed.task, self.driven
        digest = outcome.sha256 or task.sha256
        key = None
        if digest:
            key = work_key(driven.function_key, digest, driven.name_of(task.path))
        tries, seconds = claimed.tries + 1, claimed.seconds + outcome.seconds
        ended = ItemEnded(
            run=driven.id,
            path=task.path,
            state=ItemState.DONE,
            seconds=seconds,
            attempts=tries,
            outputs=len(outcome.outputs),
        )
        token = None
        if outcome.outputs:
            token = staging_token(driven.id, outcome.task, outcome.epoch)
            publication = Publication(claimed.item, token, outcome.outputs, ended)
            self.answer.publish.append(publication)
        else:
            self.answer.ended.append(ended)
        end = ItemEnd(claimed.item, tries, seconds, digest, key, outcome.result, token)
        self.writes.item_done(end, outcome.outputs)

    def _take_each(self, outcomes: Sequence[Outcome]) -> None:
        rows = self._load({outcome.task for outcome in outcomes})
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
                # An outcome that came before is no reason to remove what it has brought.
                if not record or not _is_done_by(record, outcome):
                    self._discard(outcome)
                continue
            records[outcome.task] = verdict.task
            self._apply(rows[outcome.task], outcome, verdict)

    def _load(self, ids: Iterable[int]) -> dict[int, Record]:
        rows: dict[int, Record] = {}
        for some in _chunks(ids):
            rows |= {row.id: row for row in _TASKS.execute(self.connection, some)}
        for some in _chunks({row.item for row in rows.values() if row.item is not None}):
            for row in _ITEMS.execute(self.connection, some):
                self.costs[row.id] = _Cost(
                    row.id, row.path, row.attempts, row.seconds, row.sha256, open=False
                )
        return rows

    def _apply(self, row: Record, outcome: Outcome, verdict: Verdict) -> None:
        cost = self.costs.get(row.item)
        if verdict.end is not AttemptEnd.RETURNED:
            self.writes.attempt(outcome, str(verdict.end))
            self._tried(row, outcome, verdict)
            if cost is not None:
                cost.add(outcome, counts=verdict.end is not AttemptEnd.DONE)
        state = verdict.task.state
        if state is TaskState.DONE:
            self._done(row, outcome, cost)
            return
        self._discard(outcome)
        self.writes.tasks_moved.append(
            {
                "this": verdict.task.id,
                "to": str(state),
                "tries": verdict.task.attempts,
                "after": verdict.task.not_before,
            }
        )
        if state is TaskState.FAILED and cost is not None:
            self._failed(row, outcome, cost)

    def _tried(self, row: Record, outcome: Outcome, verdict: Verdict) -> None:
        kind, end, claimed = TaskKind(row.kind), verdict.end, self.driven.flying.get(outcome.task)
        one_part = kind is TaskKind.PROCESS and not self.driven.splits
        last = end is AttemptEnd.DONE and (outcome.merged or kind is TaskKind.MERGE or one_part)
        again = verdict.task.state is TaskState.WAITING
        size = claimed.task.size if claimed else 0
        self.answer.tried.append(Tried(kind, size, outcome, end, again, last))

    def _done(self, row: Record, outcome: Outcome, cost: _Cost | None) -> None:
        kind = TaskKind(row.kind)
        if kind is TaskKind.PROCESS and self.driven.splits:
            files = [one.path for one in outcome.outputs]
            self.writes.tasks_kept.append(
                {"this": row.id, "record": outcome.result, "files": files}
            )
            self.later.part_done.add(row.item)
            return
        self.writes.tasks_done.append(row.id)
        if kind is TaskKind.DIGEST:
            self.later.digested.append(row.item)
        elif kind is TaskKind.SPLIT and not outcome.merged:
            self.later.split(row, outcome.result or [])
        elif kind is not TaskKind.REPORT and cost is not None:
            reused = kind is TaskKind.COPY
            result = row.payload["result"] if reused else outcome.result
            self._item_done(cost, outcome, result, reused=reused)
            if kind is TaskKind.MERGE:
                self.later.merged.append(row.item)

    def _item_done(self, cost: _Cost, outcome: Outcome, result: JSON, *, reused: bool) -> None:
        driven = self.driven
        key = None
        if cost.digest:
            key = work_key(driven.function_key, cost.digest, driven.name_of(cost.path))
        # A copy is no attempt: the work was done before.
        tries = cost.tries + cost.more_tries + (not reused)
        seconds = cost.seconds + cost.more_seconds
        token = staging_token(driven.id, outcome.task, outcome.epoch) if outcome.outputs else None
        end = ItemEnd(cost.item, tries, seconds, cost.digest, key, result, token, reused)
        self.writes.item_done(end, outcome.outputs)
        cost.open = False
        ended = ItemEnded(
            run=driven.id,
            path=cost.path,
            state=ItemState.DONE,
            seconds=seconds,
            attempts=tries,
            reused=reused,
            outputs=len(outcome.outputs),
        )
        if token is None:
            self.answer.ended.append(ended)
        else:
            self.answer.publish.append(Publication(cost.item, token, outcome.outputs, ended))

    def _failed(self, row: Record, outcome: Outcome, cost: _Cost) -> None:
        failure = outcome.failure or LOST
        if row.kind == TaskKind.COPY:
            # The earlier result is not what it was: do the work after all.
            first = planning.first_kind(self.driven)
            self.later.new_tasks.append((row.item, first, 0, row.weight, None))
            return
        if cost.failed:
            return  # Another part has failed the item in this very batch.
        cost.failed, cost.open = True, False
        tries, seconds = cost.tries + cost.more_tries, cost.seconds + cost.more_seconds
        end = ItemEnd(cost.item, tries, seconds, cost.digest, None, None)
        self.writes.item_failed(end, failure)
        self.answer.ended.append(
            ItemEnded(
                run=self.driven.id,
                path=cost.path,
                state=ItemState.FAILED,
                seconds=seconds,
                attempts=tries,
                failure=asdict(failure),
            )
        )

    def _discard(self, outcome: Outcome) -> None:
        self.answer.discard.append(staging_token(self.driven.id, outcome.task, outcome.epoch))


@dataclass(slots=True)
class _Cost:
    """What an item has cost before this batch, and what the batch adds.

    `open` says that the addition is still to be written, since no end writes it.
    """

    item: int
    path: str
    tries: int
    seconds: float
    digest: str | None
    more_tries: int = 0
    more_seconds: float = 0.0
    open: bool = False
    failed: bool = False

    def addition(self) -> dict[str, JSON]:
        return {
            "this": self.item,
            "more": self.more_tries,
            "took": self.more_seconds,
            "digest": self.digest,
        }

    def add(self, outcome: Outcome, *, counts: bool) -> None:
        self.more_tries += counts
        self.more_seconds += outcome.seconds
        self.digest = outcome.sha256 or self.digest
        self.open = True


def _record(row: Record) -> TaskRecord:
    return TaskRecord(id=row.id, state=TaskState(row.state), epoch=row.epoch, attempts=row.attempts)


def _is_done_by(record: TaskRecord, outcome: Outcome) -> bool:
    return record.state is TaskState.DONE and record.epoch == outcome.epoch


def _chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    every = sorted(ids)
    return (every[start : start + CHUNK] for start in range(0, len(every), CHUNK))
