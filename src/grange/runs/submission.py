"""Submission: a run and its items are taken in, in batches, and become visible as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from grange.core.ids import new_id
from grange.core.resources import needs_to_json
from grange.core.states import RunState, move
from grange.db import Database, Duplicate, execute_many
from grange.errors import GrangeError, InputsInvalid, OutputInUse, RunBusy
from grange.runs import places
from grange.runs.driver import Driver, is_working, this_driver
from grange.runs.keys import out_key, request_key, weight
from grange.runs.models import NewItem, RunSpec
from grange.runs.tables import Record, items, runs
from grange.storage import uri_key

# Items written in one transaction: enough to make its cost small, few enough
# that other writers get their turn and memory stays flat.
BATCH = 10_000

_INSERT_ITEMS = insert(items)
_ITEM = ("run", "path", "uri", "uri_key", "size", "mtime_ns", "weight", "state")
_picked = itemgetter(*_ITEM)

# What else is to be written once a run is whole, given its number of items.
AlsoSealed = Callable[[Connection, int], object]

# How long a submitter may be silent before another may go on with its submission.
SUBMITTER_LEASE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that takes items in, or (`busy`) one that another process has in hand.

    `known` says that it was there before.
    """

    number: int
    id: str
    state: RunState
    driver: Driver
    known: bool
    busy: bool = False


def open_run(database: Database, spec: RunSpec, run: str | None = None) -> Opened:
    """Make a run, with the id `run` if one is given, or find the unfinished one of this request.

    It is this process's to fill, until `seal`, unless it says `busy`; one that
    is being cancelled is left as it is.

    Raises:
        OutputInUse: An unfinished run of another request writes to the same place.
    """
    key = request_key(spec)
    driver = this_driver()
    try:
        return database.transact(lambda connection: _open(connection, spec, key, driver, run))
    except Duplicate:
        # Another process was faster with the same output folder: its run is there now.
        return database.transact(lambda connection: _open(connection, spec, key, driver, run))


def add_items(database: Database, opened: Opened, found: Iterable[NewItem]) -> None:
    """Take items in, streaming. Those that the run has already are left as they are.

    Raises:
        RunBusy: Another process has taken the submission over, since this one was silent.
    """
    stream = iter(found)
    while batch := list(islice(stream, BATCH)):
        rows = list(rows_of(opened.number, batch))

        def work(connection: Connection, rows: list[dict[str, Any]] = rows) -> None:
            _hold(connection, opened)
            if opened.known:
                database.insert_new(connection, items, rows)
            else:
                given = [_picked(row) for row in rows]
                execute_many(connection, _INSERT_ITEMS, _ITEM, given)

        database.transact(work)


def seal(database: Database, opened: Opened, also: AlsoSealed | None = None) -> None:
    """Make the run complete: from here on it is on disk, whole, and may be worked on.

    Raises:
        InputsInvalid: It has no item at all; the run is gone again.
        OutputInUse: Somebody else was faster with a place around its own; it is gone again.
    """

    def work(connection: Connection) -> GrangeError | None:
        _hold(connection, opened)
        ids = items.c.id
        query = select(
            func.count(), func.coalesce(func.sum(items.c.size), 0), func.min(ids), func.max(ids)
        ).where(items.c.run == opened.number)
        number, size, first, last = connection.execute(query).one()
        wrong = _unfit(connection, opened, items_total=number)
        if wrong is not None:
            _delete(connection, opened)
            return wrong
        connection.execute(
            update(runs)
            .where(runs.c.number == opened.number)
            .values(
                state=str(move(RunState.SUBMITTING, RunState.WAITING)),
                items_total=number,
                bytes_total=size,
                items_first=first,
                items_last=last,
                driver=None,
                driver_until=None,
            )
        )
        if also is not None:
            also(connection, number)
        return None

    wrong = database.transact(work)
    if wrong is not None:
        raise wrong


def _unfit(connection: Connection, opened: Opened, *, items_total: int) -> GrangeError | None:
    """Why there can be no such run."""
    if not items_total:
        return InputsInvalid(
            "The inputs hold no file to work on.",
            hint="Check the folder, and what --include and --exclude leave of it.",
        )
    if places.is_lost(connection, opened.number):
        return OutputInUse(
            "Somebody else has named the same place for results, or one around it, just now.",
            hint="Name another folder.",
        )
    return None


def _delete(connection: Connection, opened: Opened) -> None:
    connection.execute(delete(items).where(items.c.run == opened.number))
    connection.execute(delete(runs).where(runs.c.number == opened.number))


def withdraw(database: Database, opened: Opened) -> None:
    """Take back a run whose submission failed, if this process holds it still."""

    def work(connection: Connection) -> None:
        _hold(connection, opened)
        _delete(connection, opened)

    database.transact(work)


def find_open(connection: Connection, spec: RunSpec, key: str) -> Record | None:
    """The unfinished run of this request, locked for this transaction, if there is one.

    Raises:
        OutputInUse: An unfinished run of another request writes to the same place.
    """
    query = select(runs).where(runs.c.out_key == out_key(spec.out)).with_for_update()
    present = connection.execute(query).first()
    if present is not None and present.request_key != key:
        raise _in_use(present, spec)
    return present


def insert_run(connection: Connection, spec: RunSpec, run: str, key: str, driver: Driver) -> Opened:
    """Make a run that takes items in, as long as this driver shows that it lives."""
    needed = {"needs": told} if (told := needs_to_json(spec.needs)) else {}
    result = connection.execute(
        insert(runs).values(
            id=run,
            name=spec.name,
            state=str(RunState.SUBMITTING),
            priority=spec.priority,
            pipeline=spec.pipeline,
            version=spec.version,
            params=dict(spec.params),
            models=dict(spec.models),
            function_key=spec.function_key,
            request_key=key,
            out_key=out_key(spec.out),
            out=spec.out,
            inputs=dict(spec.inputs),
            plan={
                "splits": spec.splits,
                "reports": spec.reports,
                "reads_name": spec.reads_name,
                "cwd": spec.cwd,
                **needed,
                **({"roots": [list(root) for root in spec.roots]} if spec.roots else {}),
            },
            retries=spec.retries,
            timeout_seconds=spec.timeout_seconds,
            created_at=time.time(),
            owner=spec.owner,
            shared_with=spec.shared_with,
            **_in_hand(driver),
        )
    )
    (number,) = result.inserted_primary_key or (0,)
    return Opened(number, run, RunState.SUBMITTING, driver, known=False)


def rows_of(number: int, batch: Iterable[NewItem]) -> Iterator[dict[str, Any]]:
    """New items as rows of their table."""
    for item in batch:
        yield {
            "run": number,
            "path": item.path,
            "uri": item.uri,
            "uri_key": uri_key(item.uri),
            "size": item.size,
            "mtime_ns": item.mtime_ns,
            "weight": weight(item.size),
            "state": "waiting",
        }


def _open(
    connection: Connection, spec: RunSpec, key: str, driver: Driver, run: str | None
) -> Opened:
    present = find_open(connection, spec, key)
    if present is None:
        return insert_run(connection, spec, run or new_id(), key, driver)
    if run is not None and present.id != run:
        # Whoever chose an id wants that very run, and not to join another one.
        raise _in_use(present, spec)
    state = RunState(present.state)
    busy = is_working(present.driver, present.driver_until, now=time.time())
    if not busy and state is not RunState.CANCELLING:
        # Nobody works on it: files that have come since may join it.
        if state in {RunState.RUNNING, RunState.PAUSED}:
            state = move(state, RunState.WAITING)
        if state is RunState.WAITING:
            state = move(state, RunState.SUBMITTING)
        connection.execute(
            update(runs)
            .where(runs.c.number == present.number)
            .values(
                state=str(state),
                note="",
                plan={**present.plan, "needs": needs_to_json(spec.needs)},
                **_in_hand(driver),
            )
        )
    return Opened(present.number, present.id, state, driver, known=True, busy=busy)


def _in_hand(driver: Driver) -> dict[str, Any]:
    until = time.time() + SUBMITTER_LEASE_SECONDS
    return {"driver": driver.record(), "driver_until": until}


def _hold(connection: Connection, opened: Opened) -> None:
    """Make sure that the run is still this process's to fill, and renew that."""
    query = select(runs.c.driver).where(runs.c.number == opened.number).with_for_update()
    holder = connection.execute(query).scalar()
    if holder is None or holder["token"] != opened.driver.token:
        message = f"Another process has taken over the submission of run {opened.id}."
        raise RunBusy(message, hint=f"Follow it: grange runs watch {opened.id}")
    connection.execute(
        update(runs).where(runs.c.number == opened.number).values(**_in_hand(opened.driver))
    )


def _in_use(present: Record, spec: RunSpec) -> OutputInUse:
    message = f"Run {present.id}, which is unfinished, writes to {spec.out} already."
    hint = (
        f"Go on with it (grange runs resume {present.id}), call it off "
        f"(grange runs cancel {present.id}), or choose another --out."
    )
    return OutputInUse(message, hint=hint)
