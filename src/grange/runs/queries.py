"""What people see of runs: lists, details, failures by reason. Reads only."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, func, or_, select

from grange.core.ids import looks_like_id
from grange.core.resources import needs_from_json
from grange.core.states import ItemState, RunState
from grange.db import Database, among
from grange.errors import RunNotFound, UsageError
from grange.runs.driver import is_working, words
from grange.runs.models import AttemptView, Counts, FailureGroup, ItemView, RunView
from grange.runs.tables import Record, attempts, items, outputs, runs, tasks

PAGE = 5_000

# Made once: to put it together costs as much as to ask it.
_OF_ID = select(runs).where(runs.c.id == bindparam("wanted"))


def list_runs(
    database: Database, *, state: RunState | None = None, limit: int | None = 50
) -> list[RunView]:
    """The newest runs first."""
    query = select(runs).order_by(runs.c.created_at.desc(), runs.c.number.desc())
    if state is not None:
        query = query.where(runs.c.state == state)
    with database.read() as connection:
        return [view_of(row) for row in connection.execute(query.limit(limit))]


def find_run(database: Database, text: str) -> RunView:
    """The run of this id, or whose id begins so, or the newest of this name, or `last`.

    Raises:
        RunNotFound: There is none.
        UsageError: Several ids begin so.
    """
    newest = select(runs).order_by(runs.c.created_at.desc(), runs.c.number.desc()).limit(1)
    with database.read() as connection:
        exact = connection.execute(select(runs).where(runs.c.id == text)).first()
        if exact is not None:
            return view_of(exact)
        row = connection.execute(newest.where(runs.c.name == text)).first() if text else None
        if row is None and text == "last":
            row = connection.execute(newest).first()
        if row is None and looks_like_id(text):
            row = _by_prefix(connection, text)
    if row is None:
        raise RunNotFound(f"There is no run {text!r}.", hint="See them all: grange runs list")
    return view_of(row)


def run_of_id(database: Database, run: str) -> RunView | None:
    """The run of exactly this id, if there is one."""
    with database.read() as connection:
        row = connection.execute(_OF_ID, {"wanted": run}).first()
    return view_of(row) if row is not None else None


def run_of_number(database: Database, number: int) -> RunView:
    """The run of this number, which is there."""
    with database.read() as connection:
        return view_of(connection.execute(select(runs).where(runs.c.number == number)).one())


def unfinished_run(database: Database, *, request_key: str) -> str | None:
    """The id of the unfinished run of this very request."""
    query = select(runs.c.id).where(runs.c.request_key == request_key, runs.c.out_key.is_not(None))
    with database.read() as connection:
        found: str | None = connection.execute(query).scalar()
        return found


def ended_since(
    database: Database, number: int, *, after: tuple[float, int], limit: int = PAGE
) -> list[ItemView]:
    """Items that ended after one of this (time, id), in the order of their ends."""
    at, last = after
    query = (
        select(items)
        .where(
            items.c.run == number,
            items.c.ended_at >= at,
            or_(items.c.ended_at > at, items.c.id > last),
            items.c.state.in_([str(one) for one in ItemState if one.is_finished()]),
        )
        .order_by(items.c.ended_at, items.c.id)
    )
    with database.read() as connection:
        rows = connection.execute(query.limit(limit)).all()
        files = outputs_of(connection, rows)
    return [item_of(row, files.get(row.id, ())) for row in rows]


def last_ended(database: Database, number: int) -> tuple[float, int]:
    """The (time, id) of the run's item that ended last; (0, 0) before the first."""
    query = (
        select(items.c.ended_at, items.c.id)
        .where(items.c.run == number, items.c.ended_at.is_not(None))
        .order_by(items.c.ended_at.desc(), items.c.id.desc())
        .limit(1)
    )
    with database.read() as connection:
        row = connection.execute(query).first()
    return (row[0], row[1]) if row is not None else (0.0, 0)


def failures(database: Database, number: int, *, limit: int = 50) -> list[FailureGroup]:
    """Why items failed, the most frequent reason first."""
    count = func.count()
    query = (
        select(items.c.failure_code, count, func.min(items.c.id))
        .where(items.c.run == number, items.c.failure_code.is_not(None))
        .group_by(items.c.failure_code)
        .order_by(count.desc(), items.c.failure_code)
        .limit(limit)
    )
    with database.read() as connection:
        groups = connection.execute(query).all()
        examples = {
            row.id: row
            for row in connection.execute(
                select(items.c.id, items.c.path, items.c.failure).where(
                    items.c.id.in_([group[2] for group in groups])
                )
            )
        }
    return [
        FailureGroup(code, number, examples[first].failure["message"], examples[first].path)
        for code, number, first in groups
    ]


def attempts_of(database: Database, item: int, *, logs: str) -> list[AttemptView]:
    """The ended attempts at an item's tasks, in order, with the logs that are there."""
    query = (
        select(attempts, tasks.c.kind, tasks.c.part)
        .join(tasks, tasks.c.id == attempts.c.task)
        .where(tasks.c.item == item)
        .order_by(attempts.c.ended_at, attempts.c.task, attempts.c.epoch)
    )
    with database.read() as connection:
        rows = connection.execute(query).all()
    return [
        AttemptView(
            task=row.task,
            epoch=row.epoch,
            kind=row.kind,
            part=row.part,
            end=row.end,
            worker=row.worker,
            ended_at=row.ended_at,
            seconds=row.seconds,
            peak_bytes=row.peak_bytes,
            failure=row.failure,
            out_log=_log(logs, row, "out"),
            err_log=_log(logs, row, "err"),
        )
        for row in rows
    ]


def view_of(row: Record) -> RunView:
    """A run's row as people see it."""
    working = is_working(row.driver, row.driver_until, now=time.time())
    return RunView(
        number=row.number,
        id=row.id,
        name=row.name,
        state=RunState(row.state),
        priority=row.priority,
        pipeline=row.pipeline,
        version=row.version,
        params=row.params,
        models=row.models,
        inputs=row.inputs,
        out=row.out,
        retries=row.retries,
        timeout_seconds=row.timeout_seconds,
        note=row.note,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=counts_of(row),
        bytes_total=row.bytes_total,
        driver=words(row.driver) if working else None,
        owner=row.owner,
        shared_with=row.shared_with,
        needs=needs_from_json(row.plan.get("needs", {})),
    )


def counts_of(row: Record) -> Counts:
    """The counts that a run's row keeps."""
    return Counts(
        total=row.items_total,
        done=row.items_done,
        failed=row.items_failed,
        cancelled=row.items_cancelled,
        reused=row.items_reused,
    )


def _by_prefix(connection: Connection, text: str) -> Record | None:
    rows = connection.execute(select(runs).where(runs.c.id.startswith(text)).limit(2)).all()
    if len(rows) > 1:
        raise UsageError(f"Several runs' ids begin with {text!r}.", hint="Give more of the id.")
    return rows[0] if rows else None


def outputs_of(connection: Connection, rows: Any) -> dict[int, tuple[dict[str, Any], ...]]:  # noqa: ANN401
    """The outputs of these items, by the items' ids."""
    found: dict[int, list[dict[str, Any]]] = {}
    ids = [row.id for row in rows]
    for start in range(0, len(ids), PAGE):
        query = select(outputs).where(among(outputs.c.item, ids[start : start + PAGE]))
        for one in connection.execute(query.order_by(outputs.c.item, outputs.c.number)):
            record = {"path": one.path, "size": one.size, "sha256": one.sha256}
            found.setdefault(one.item, []).append(record)
    return {item: tuple(files) for item, files in found.items()}


def item_of(row: Record, files: tuple[dict[str, Any], ...]) -> ItemView:
    """An item's row as people see it."""
    return ItemView(
        id=row.id,
        path=row.path,
        uri=row.uri,
        size=row.size,
        state=ItemState(row.state),
        attempts=row.attempts,
        seconds=row.seconds,
        sha256=row.sha256,
        reused=bool(row.reused),
        result=row.result,
        failure=row.failure,
        ended_at=row.ended_at,
        outputs=files,
        mtime_ns=row.mtime_ns,
    )


def _log(logs: str, row: Record, stream: str) -> str | None:
    path = Path(logs) / f"{row.task}-{row.epoch}.{stream}"
    return str(path) if path.is_file() else None
