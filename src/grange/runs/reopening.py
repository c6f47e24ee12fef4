"""A run that grows is opened: the unfinished one, the ended one once more, or a new one."""

from __future__ import annotations

import json
import time

from sqlalchemy import Connection, select, update

from grange.core.ids import new_id
from grange.core.states import RUN_GROWS, RunState, move
from grange.db import Database, Duplicate
from grange.errors import RunBusy, StoreError, TransitionIllegal
from grange.runs import submission
from grange.runs.driver import is_working, this_driver, words
from grange.runs.keys import out_key, request_key
from grange.runs.models import RUN_FILE, RunSpec
from grange.runs.tables import Record, runs
from grange.storage import open_store

# run.json is a few thousand bytes.
_MOST_RUN_FILE_BYTES = 16 << 20


def open_run(database: Database, spec: RunSpec) -> int:
    """The number of the run of this request: the unfinished one, the ended one, or a new one.

    An ended run goes on as long as its results are where they were: another output
    folder under the same name is begun anew. One that was called off is not gone on with.

    Raises:
        OutputInUse: An unfinished run of another request writes to the same place.
        RunBusy: Somebody works on it.
        TransitionIllegal: It is being called off, and nobody has brought that to its end.
    """
    key = request_key(spec)
    ended = _ended(database, spec, key)
    try:
        return database.transact(lambda connection: _open(connection, spec, key, ended))
    except Duplicate:
        # Another process was faster with the same output folder: its run is there now.
        return database.transact(lambda connection: _open(connection, spec, key, ended))


def _ended(database: Database, spec: RunSpec, key: str) -> int | None:
    """The newest ended run of this request, if its results are still where it left them."""
    query = (
        select(runs.c.number, runs.c.id)
        .where(
            runs.c.function_key == spec.function_key,
            runs.c.request_key == key,
            runs.c.owner.is_(None),
            runs.c.state.in_([str(one) for one in RUN_GROWS]),
        )
        .order_by(runs.c.created_at.desc(), runs.c.number.desc())
        .limit(1)
    )
    with database.read() as connection:
        row = connection.execute(query).first()
    return row.number if row is not None and _account_of(spec.out) == row.id else None


def _account_of(out: str) -> str | None:
    """The run whose account lies in this place."""
    try:
        chunks = open_store(out).read(RUN_FILE, length=_MOST_RUN_FILE_BYTES)
        found = json.loads(b"".join(chunks))["run"]
    except (StoreError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _open(connection: Connection, spec: RunSpec, key: str, ended: int | None) -> int:
    opened = submission.find_open(connection, spec, key)
    if opened is not None:
        return _go_on(connection, opened)
    if ended is not None:
        query = select(runs.c.state).where(runs.c.number == ended).with_for_update()
        state = connection.execute(query).scalar()
        if state is not None and RunState(state) in RUN_GROWS:
            again = {"state": str(RunState.WAITING), "out_key": out_key(spec.out)}
            mine = update(runs).where(runs.c.number == ended)
            connection.execute(mine.values(finished_at=None, **again))
            return ended
    made = submission.insert_run(connection, spec, new_id(), key, this_driver())
    _set_waiting(connection, made.number, RunState.SUBMITTING)
    return made.number


def _go_on(connection: Connection, row: Record) -> int:
    if is_working(row.driver, row.driver_until, now=time.time()):
        message = f"Run {row.id} is being worked on by {words(row.driver)}."
        raise RunBusy(message, hint=f"Follow it: grange runs watch {row.id}")
    state = RunState(row.state)
    if state is RunState.CANCELLING:
        raise TransitionIllegal(
            f"Run {row.id} is being called off.", hint=f"End that: grange runs cancel {row.id}"
        )
    _set_waiting(connection, row.number, state)
    number: int = row.number
    return number


def _set_waiting(connection: Connection, number: int, state: RunState) -> None:
    if state is not RunState.WAITING:
        state = move(state, RunState.WAITING)
    connection.execute(
        update(runs)
        .where(runs.c.number == number)
        .values(state=str(state), note="", driver=None, driver_until=None)
    )
