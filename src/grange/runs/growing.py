"""A run that grows: it is given items while it is driven.

Each arrival is written in one transaction with its first task: no part of the ledger
is looked through again, and what one costs does not depend on how many were before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from grange.core.states import ITEM_RENEWS, ItemState, TaskState
from grange.db import Database, among
from grange.errors import RunBusy
from grange.runs import planning, submission
from grange.runs.driven import Driven
from grange.runs.driving import Grip
from grange.runs.keys import weight
from grange.runs.manifest import published_path
from grange.runs.models import NewItem
from grange.runs.planning import CHUNK, Plan
from grange.runs.queries import PAGE
from grange.runs.tables import Record, items, outputs, runs, tasks
from grange.storage import uri_key

# Of these failures the input is to blame that was not there to be read: once it is, it is
# worth another try, though nothing about the file has changed.
ABSENT = frozenset({"input.missing", "input.unreadable"})


@dataclass(frozen=True, slots=True)
class Arrival:
    """A file that has come, or has changed; with its digest, where that was taken already."""

    item: NewItem
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A file as the ledger knows it."""

    path: str
    size: int
    mtime_ns: int
    ended: bool
    failure_code: str | None


@dataclass(slots=True)
class Grown:
    """What became of arrivals.

    `put_off` are those whose item is being worked on as the file was before.
    """

    added: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    put_off: list[Arrival] = field(default_factory=list)
    plan: Plan = field(default_factory=Plan)


@dataclass(slots=True)
class _Change:
    """What a batch of arrivals adds to the counts of its run."""

    total: int = 0
    size: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    reused: int = 0


def known_items(database: Database, number: int) -> Iterator[Known]:
    """What the run has already, in no order that means anything; streams."""
    of = items.c
    columns = (of.id, of.path, of.size, of.mtime_ns, of.state, of.failure_code)
    last = 0
    while True:
        query = select(*columns).where(of.run == number, of.id > last)
        with database.read() as connection:
            rows = connection.execute(query.order_by(of.id).limit(PAGE)).all()
        if not rows:
            return
        last = rows[-1].id
        for _, path, size, mtime_ns, state, code in rows:
            yield Known(path, size, mtime_ns, ItemState(state).is_finished(), code)


def grow(
    database: Database, driven: Driven, grip: Grip, arrivals: Sequence[Arrival], *, now: float
) -> Grown:
    """Take arrivals into a run that is driven, each with its first task. Repeating it is harmless.

    A file that is known as it is, is left alone. One that was replaced is new work: its
    result is removed first, so that no old one is taken for its own.

    Raises:
        RunBusy: Another driver has the run.
    """
    _drop_outdated(database, driven, arrivals)
    growth = database.transact(
        lambda connection: _Growth(connection, driven, now).take(grip, arrivals)
    )
    change, counts = growth.change, driven.counts
    driven.counts = replace(
        counts,
        total=counts.total + change.total,
        done=counts.done - change.done,
        failed=counts.failed - change.failed,
        cancelled=counts.cancelled - change.cancelled,
        reused=counts.reused - change.reused,
    )
    driven.bytes_total += change.size
    return growth.answer


def _drop_outdated(database: Database, driven: Driven, arrivals: Sequence[Arrival]) -> None:
    """Remove the results of files that were replaced, before the ledger forgets them.

    Killed in between, the file is still another one than the ledger says.
    """
    with database.read() as connection:
        rows = _known(connection, driven, arrivals)
        replaced = [
            row
            for arrival in arrivals
            if (row := rows.get(arrival.item.uri)) is not None and _is_new_work(row, arrival)
        ]
        with_files = _with_outputs(connection, [row.id for row in replaced])
    for row in replaced:
        if row.id in with_files:
            driven.store.delete_tree(published_path(row.path))


def _known(
    connection: Connection, driven: Driven, arrivals: Sequence[Arrival]
) -> dict[str, Record]:
    """The items that these files have already, by their URIs."""
    found: dict[str, Record] = {}
    for start in range(0, len(arrivals), CHUNK):
        keys = [uri_key(one.item.uri) for one in arrivals[start : start + CHUNK]]
        query = select(items).where(items.c.uri_key.in_(keys), items.c.run == driven.number)
        found |= {row.uri: row for row in connection.execute(query)}
    return found


def _with_outputs(connection: Connection, ids: Sequence[int]) -> set[int]:
    query = select(outputs.c.item).distinct().where(among(outputs.c.item, ids))
    return set(connection.execute(query).scalars()) if ids else set()


def _is_new_work(row: Record, arrival: Arrival) -> bool:
    """Whether an item that has ended is to be begun anew."""
    state, item = ItemState(row.state), arrival.item
    if state not in ITEM_RENEWS:
        return False
    if (row.size, row.mtime_ns) == (item.size, item.mtime_ns):
        return row.failure_code in ABSENT
    return not _is_same(row, arrival)


def _is_same(row: Record, arrival: Arrival) -> bool:
    """Whether a done item's file has another date, and the bytes that it had."""
    return (
        row.state == ItemState.DONE
        and row.size == arrival.item.size
        and arrival.sha256 is not None
        and row.sha256 == arrival.sha256
    )


class _Growth:
    """One batch of arrivals, within one transaction."""

    def __init__(self, connection: Connection, driven: Driven, now: float) -> None:
        self.connection = connection
        self.driven = driven
        self.now = now
        self.answer = Grown()
        self.change = _Change()
        self.renewed: list[int] = []

    def take(self, grip: Grip, arrivals: Sequence[Arrival]) -> _Growth:
        self._hold(grip)
        known = _known(self.connection, self.driven, arrivals)
        fresh: dict[str, Arrival] = {}
        for arrival in arrivals:
            row = known.get(arrival.item.uri)
            if row is None:
                fresh[arrival.item.uri] = arrival
            elif _is_new_work(row, arrival):
                self._renew(row, arrival)
            else:
                self._leave(row, arrival)
        added = self._add(list(fresh.values()))
        self._plan([*self.renewed, *added])
        if added or self.renewed:
            self._count(added)
        return self

    def _hold(self, grip: Grip) -> None:
        query = select(runs.c.driver).where(runs.c.number == self.driven.number)
        holder = self.connection.execute(query.with_for_update()).scalar()
        if holder is None or holder["token"] != grip.driver.token:
            message = f"Another process has taken over run {self.driven.id}."
            raise RunBusy(message, hint=f"Follow it: grange runs watch {self.driven.id}")

    def _leave(self, row: Record, arrival: Arrival) -> None:
        item = arrival.item
        changed = (row.size, row.mtime_ns) != (item.size, item.mtime_ns)
        if changed and ItemState(row.state) not in ITEM_RENEWS:
            self.answer.put_off.append(arrival)
            return
        self.answer.same.append(row.path)
        if changed:
            self._set(row.id, {"mtime_ns": item.mtime_ns})

    def _renew(self, row: Record, arrival: Arrival) -> None:
        """Begin an ended item anew, with nothing of what was before but its attempts' account."""
        item = arrival.item
        self._set(
            row.id,
            {
                "size": item.size,
                "mtime_ns": item.mtime_ns,
                "weight": weight(item.size),
                "state": str(ItemState.WAITING),
                "sha256": arrival.sha256,
                "work_key": None,
                "attempts": 0,
                "seconds": 0.0,
                "reused": 0,
                "token": None,
                "result": None,
                "failure_code": None,
                "failure": None,
                "ended_at": None,
            },
        )
        # Parts of the old file are no parts of the new one.
        self.connection.execute(
            update(tasks)
            .where(tasks.c.item == row.id)
            .values(state=str(TaskState.CANCELLED), lease_until=None)
        )
        self.connection.execute(delete(outputs).where(outputs.c.item == row.id))
        change = self.change
        change.size += item.size - row.size
        change.done += row.state == ItemState.DONE
        change.failed += row.state == ItemState.FAILED
        change.cancelled += row.state == ItemState.CANCELLED
        change.reused += bool(row.reused)
        self.answer.renewed.append(row.path)
        self.renewed.append(row.id)

    def _set(self, item: int, values: Mapping[str, Any]) -> None:
        self.connection.execute(update(items).where(items.c.id == item).values(**values))

    def _add(self, fresh: Sequence[Arrival]) -> list[int]:
        if not fresh:
            return []
        rows = list(submission.rows_of(self.driven.number, [one.item for one in fresh]))
        self.connection.execute(insert(items), rows)
        self.change.total += len(fresh)
        self.change.size += sum(one.item.size for one in fresh)
        self.answer.added += [one.item.path for one in fresh]
        return sorted(row.id for row in _known(self.connection, self.driven, fresh).values())

    def _plan(self, ids: Sequence[int]) -> None:
        """Give each its first task, or the result of equal work."""
        rows: list[Record] = []
        for start in range(0, len(ids), CHUNK):
            some = among(items.c.id, ids[start : start + CHUNK])
            rows += self.connection.execute(select(*planning.PLANNED).where(some)).all()
        if rows:
            self.answer.plan = planning.decide(self.connection, self.driven, rows)
            planning.write(self.connection, self.driven, self.answer.plan, now=self.now)

    def _count(self, added: Sequence[int]) -> None:
        change, column = self.change, runs.c
        values: dict[str, Any] = {
            "items_total": column.items_total + change.total,
            "items_done": column.items_done - change.done,
            "items_failed": column.items_failed - change.failed,
            "items_cancelled": column.items_cancelled - change.cancelled,
            "items_reused": column.items_reused - change.reused,
            "bytes_total": column.bytes_total + change.size,
        }
        if added:
            # A run has one driver, so that the ids of what it adds only grow.
            values["items_first"] = func.coalesce(column.items_first, added[0])
            values["items_last"] = added[-1]
        mine = update(runs).where(column.number == self.driven.number)
        self.connection.execute(mine.values(**values))
