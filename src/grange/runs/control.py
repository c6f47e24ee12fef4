"""What people do to runs: cancel, pause, retry, delete."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Update, delete, select, update

from grange.core.states import (
    ITEM_REOPENS,
    RUN_REOPENS,
    ItemState,
    RunState,
    TaskState,
    move,
)
from grange.db import Database, Duplicate
from grange.errors import OutputInUse, RunBusy, RunEnded
from grange.runs.driver import is_working, words
from grange.runs.keys import out_key
from grange.runs.models import RunView
from grange.runs.tables import attempts, items, outputs, runs, tasks

# Rows deleted in one transaction, so that others get their turn.
DELETE_BATCH = 20_000
# What else is to be written, exactly if the change is: the last thing in its transaction.
Also = Callable[[Connection], object]
WAITING_STATES = (str(RunState.PAUSED), str(RunState.WAITING))


def ask_cancel(database: Database, run: RunView, also: Also | None = None) -> bool:
    """Ask whoever drives the run to stop it for good. True when nobody does.

    Raises:
        RunEnded: There is nothing left to cancel.
    """

    def work(connection: Connection) -> bool:
        row = connection.execute(
            select(runs.c.state, runs.c.driver, runs.c.driver_until)
            .where(runs.c.number == run.number)
            .with_for_update()
        ).one()
        state = RunState(row.state)
        if state.is_finished():
            raise RunEnded(f"Run {run.id} has ended already: it is {state}.")
        driven = is_working(row.driver, row.driver_until, now=time.time())
        if state is RunState.RUNNING:
            connection.execute(_to(run.number, move(state, RunState.CANCELLING)))
        if also is not None:
            also(connection)
        return not driven

    return database.transact(work)


def change(database: Database, run: RunView, values: Mapping[str, str | int | None]) -> None:
    """Change what is not None; an empty group is none."""
    given = {name: value for name, value in values.items() if value is not None}
    if "shared_with" in given:
        given["shared_with"] = given["shared_with"] or None  # type: ignore[assignment]
    if given:
        database.transact(
            lambda connection: connection.execute(
                update(runs).where(runs.c.number == run.number).values(**given)
            )
        )


def note(database: Database, run: RunView, text: str) -> None:
    """Leave a note with a run that waits and that nobody drives."""
    database.transact(
        lambda connection: connection.execute(
            update(runs)
            .where(runs.c.number == run.number, runs.c.state == RunState.WAITING)
            .where(runs.c.driver.is_(None))
            .values(note=text)
        )
    )


def cut_off(database: Database, *, silent_since: float) -> list[int]:
    """Take over the submissions of a server's users of which nothing was heard since then.

    Whoever went on with one of them after all would be told. Returns the runs' numbers.
    """
    silent = (
        (runs.c.state == RunState.SUBMITTING)
        & runs.c.owner.is_not(None)
        & (runs.c.driver_until < silent_since)
    )

    def take(connection: Connection, number: int) -> int:
        mine = update(runs).where(runs.c.number == number, silent)
        return connection.execute(mine.values(driver=None)).rowcount

    with database.read() as connection:
        found = connection.execute(select(runs.c.number).where(silent)).scalars().all()
    return [number for number in found if database.transact(partial(take, number=number))]


def close_cancelled(database: Database, number: int, *, now: float) -> None:
    """Bring a run that nobody drives, and whose items are called off, to its end."""
    database.transact(
        lambda connection: connection.execute(
            update(runs)
            .where(runs.c.number == number, runs.c.finished_at.is_(None))
            .values(
                state=str(RunState.CANCELLED),
                out_key=None,
                driver=None,
                driver_until=None,
                finished_at=now,
            )
        )
    )


def pause(database: Database, run: RunView, also: Also | None = None) -> None:
    """Let the run stand still; whoever drives it lets go of it, finished items keep their results.

    Raises:
        RunEnded: It has ended.
        TransitionIllegal: It is being cancelled or submitted.
    """
    _change(database, run, RunState.PAUSED, also)


def unpause(database: Database, run: RunView, also: Also | None = None) -> None:
    """Let a paused run wait for whoever goes on with it; any other is left as it is.

    One that waits already loses the note of what was in its way: it is worth another try.
    """

    def work(connection: Connection) -> None:
        connection.execute(
            update(runs)
            .where(runs.c.number == run.number, runs.c.state.in_(WAITING_STATES))
            .values(state=str(RunState.WAITING), note="")
        )
        if also is not None:
            also(connection)

    database.transact(work)


def retry(database: Database, run: RunView, also: Also | None = None) -> int:
    """Open the failed and cancelled items of a run again; says how many.

    Raises:
        OutputInUse: Meanwhile another unfinished run writes to the same place.
        RunBusy: Somebody works on the run.
    """

    def work(connection: Connection) -> int:
        row = connection.execute(
            select(runs).where(runs.c.number == run.number).with_for_update()
        ).one()
        if is_working(row.driver, row.driver_until, now=time.time()):
            message = f"Run {run.id} is being worked on by {words(row.driver)}."
            raise RunBusy(message, hint="Wait for its end, or cancel it first.")
        reopened = _reopen(connection, row.number, RunState(row.state), out_key(row.out))
        if also is not None:
            also(connection)
        return reopened

    try:
        return database.transact(work)
    except Duplicate as error:
        message = f"Another unfinished run writes to {run.out} by now."
        raise OutputInUse(message, hint="Wait for its end, or cancel it first.") from error


def delete_run(
    database: Database, run: RunView, also: Also | None = None, *, logs: Path | None = None
) -> None:
    """Delete a run's account, in batches, and its logs. Its outputs are not touched.

    Its own row goes last, so that whoever was cut off can ask for it again.

    Raises:
        RunBusy: Somebody works on it.
    """
    with database.read() as connection:
        query = select(runs.c.driver, runs.c.driver_until).where(runs.c.number == run.number)
        row = connection.execute(query).first()
    if row is not None and is_working(row.driver, row.driver_until, now=time.time()):
        message = f"Run {run.id} is being worked on by {words(row.driver)}."
        raise RunBusy(message, hint=f"Cancel it first: grange runs cancel {run.id}")
    while database.transact(lambda connection: _delete_batch(connection, run.number)):
        pass
    if logs is not None:
        shutil.rmtree(logs, ignore_errors=True)

    def work(connection: Connection) -> None:
        gone = connection.execute(delete(runs).where(runs.c.number == run.number)).rowcount
        if gone and also is not None:
            also(connection)

    database.transact(work)


def _change(database: Database, run: RunView, new: RunState, also: Also | None) -> None:
    def work(connection: Connection) -> None:
        query = select(runs.c.state).where(runs.c.number == run.number).with_for_update()
        state = RunState(connection.execute(query).scalar_one())
        if state.is_finished():
            raise RunEnded(f"Run {run.id} has ended already: it is {state}.")
        if state is not new:
            connection.execute(_to(run.number, move(state, new)))
            if also is not None:
                also(connection)

    database.transact(work)


def _to(number: int, state: RunState) -> Update:
    return update(runs).where(runs.c.number == number).values(state=str(state))


def _reopen(connection: Connection, number: int, state: RunState, place: str) -> int:
    ends = [str(one) for one in ITEM_REOPENS]
    by_state = dict.fromkeys(ITEM_REOPENS, 0)
    for one in ITEM_REOPENS:
        result = connection.execute(
            update(items)
            .where(items.c.run == number, items.c.state == one)
            .values(state=str(ItemState.WAITING), failure=None, failure_code=None, ended_at=None)
        )
        by_state[one] = result.rowcount
    connection.execute(
        update(tasks)
        .where(
            tasks.c.run == number,
            tasks.c.item.is_(None),
            tasks.c.state.in_([*ends, str(TaskState.WAITING), str(TaskState.DONE)]),
        )
        .values(state=str(TaskState.CANCELLED))
    )
    values = {
        "items_failed": runs.c.items_failed - by_state[ItemState.FAILED],
        "items_cancelled": runs.c.items_cancelled - by_state[ItemState.CANCELLED],
    }
    if state in RUN_REOPENS:
        reopened = {"state": str(RunState.WAITING), "out_key": place, "finished_at": None}
        connection.execute(update(runs).where(runs.c.number == number).values(**values, **reopened))
    else:
        connection.execute(update(runs).where(runs.c.number == number).values(**values))
    return sum(by_state.values())


def _delete_batch(connection: Connection, number: int) -> int:
    """Delete some items with all that hangs on them: quicker than a cascade over the whole run."""
    chosen = connection.execute(
        select(items.c.id).where(items.c.run == number).order_by(items.c.id).limit(DELETE_BATCH)
    ).scalars()
    ids = list(chosen)
    for start in range(0, len(ids), 1000):
        some = ids[start : start + 1000]
        those = select(tasks.c.id).where(tasks.c.item.in_(some))
        connection.execute(delete(attempts).where(attempts.c.task.in_(those)))
        connection.execute(delete(tasks).where(tasks.c.item.in_(some)))
        connection.execute(delete(outputs).where(outputs.c.item.in_(some)))
        connection.execute(delete(items).where(items.c.id.in_(some)))
    return len(ids)
