"""The pipeline's own report on a whole run: one more task, once all items have ended."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, select, update

from grange.core.states import ItemState, TaskState
from grange.core.tasks import JSON, Outcome, TaskKind, staging_token
from grange.db import Database
from grange.errors import StoreError
from grange.runs import planning
from grange.runs.driven import Driven
from grange.runs.manifest import published_path
from grange.runs.models import REPORT_FOLDER, ItemView
from grange.runs.tables import attempts, tasks
from grange.runs.walking import iterate_items
from grange.storage import Stored


class RunReport:
    """Plans the report's task, and publishes what it staged."""

    def __init__(self, database: Database, driven: Driven) -> None:
        """Nothing is written yet."""
        self._database = database
        self._driven = driven
        self.failure = ""

    def plan(self) -> None:
        """Write the records that the report reads, and add its task, if there is none already."""
        file = Path(self._driven.job.logs) / "items.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as lines:
            for item in iterate_items(self._database, self._driven.number):
                # Of a run that still grows, some have no end yet.
                if item.state not in {ItemState.DONE, ItemState.FAILED}:
                    continue
                record = {
                    "path": item.path,
                    "state": str(item.state),
                    "result": item.result,
                    "folder": published_path(item.path),
                    "outputs": [one["path"] for one in item.outputs],
                    "failure": _failure(item),
                }
                lines.write(json.dumps(record) + "\n")
        # Whoever reads the list of an earlier report keeps it whole.
        fresh.replace(file)
        self._database.transact(lambda connection: self._add(connection, str(file)))

    def ended(self) -> bool:
        """Whether the task has come to an end; `failure` says in words when it was a bad one."""
        with self._database.read() as connection:
            row = connection.execute(
                select(tasks.c.id, tasks.c.state).where(*self._mine()).order_by(tasks.c.id.desc())
            ).first()
            if row is None or not TaskState(row.state).is_finished():
                return False
            if row.state == TaskState.FAILED:
                query = select(attempts.c.failure).where(attempts.c.task == row.id)
                why = connection.execute(query.order_by(attempts.c.epoch.desc())).scalar()
                self.failure = why["message"] if why else "for no reason that is known"
        return True

    def publish(self, outcome: Outcome) -> None:
        """Put the report's files under their name. Repeating it is harmless."""
        token = staging_token(self._driven.id, outcome.task, outcome.epoch)
        expect = [Stored(one.path, one.size, one.sha256, one.mtime_ns) for one in outcome.outputs]
        try:
            self._driven.store.publish(token, REPORT_FOLDER, expect=expect)
        except StoreError as error:
            self.failure = error.message

    def _add(self, connection: Connection, file: str) -> None:
        waiting = select(tasks.c.id).where(
            *self._mine(), tasks.c.state.in_([str(TaskState.WAITING), str(TaskState.RUNNING)])
        )
        if connection.execute(waiting).first() is not None:
            return
        connection.execute(
            update(tasks).where(*self._mine()).values(state=str(TaskState.CANCELLED))
        )
        planning.add_tasks(
            connection, self._driven, [(None, TaskKind.REPORT, 0, 0, {"items": file})]
        )

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            tasks.c.run == self._driven.number,
            tasks.c.item.is_(None),
            tasks.c.kind == TaskKind.REPORT,
        )


def _failure(item: ItemView) -> JSON:
    """Why an item failed, without its evidence."""
    why = item.failure
    return {"code": why["code"], "message": why["message"]} if why else None
