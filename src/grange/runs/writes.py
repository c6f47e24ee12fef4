"""What a batch of outcomes changes, gathered in memory and written in a few statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, bindparam, delete, func, insert, update

from grange.core.states import ItemState, TaskState
from grange.core.tasks import JSON, Failure, Outcome, Output
from grange.db import among, execute_many
from grange.runs.planning import CHUNK
from grange.runs.tables import attempts, items, outputs, tasks

ATTEMPT = (
    "task",
    "epoch",
    "end",
    "worker",
    "ended_at",
    "seconds",
    "peak_bytes",
    "failure",
    "counts",
)
# As much of a worker's name as its column holds: machines are called what people like.
LONGEST_WORKER = 120
_INSERT_ATTEMPTS = insert(attempts)

ITEM_DONE = ("this", "to", "tries", "took", "digest", "work", "again", "staged", "record", "at")
_UPDATE_ITEMS_DONE = (
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

ITEM_FAILED = ("this", "to", "tries", "took", "digest", "code", "why", "at")
_UPDATE_ITEMS_FAILED = (
    update(items)
    .where(items.c.id == bindparam("this"))
    .values(
        state=bindparam("to"),
        attempts=bindparam("tries"),
        seconds=bindparam("took"),
        sha256=bindparam("digest"),
        failure_code=bindparam("code"),
        failure=bindparam("why"),
        ended_at=bindparam("at"),
    )
)

OUTPUT = ("item", "number", "path", "size", "sha256", "mtime_ns")
_INSERT_OUTPUTS = insert(outputs)

Row = tuple[JSON, ...]


@dataclass(slots=True)
class ItemEnd:
    """An item that is done, or whose outputs are about to be published."""

    item: int
    tries: int
    seconds: float
    sha256: str | None
    work_key: int | None
    result: JSON
    token: str | None = None
    reused: bool = False


@dataclass(slots=True)
class Writes:
    """The rows that one batch changes."""

    now: float
    attempts: list[Row] = field(default_factory=list)
    tasks_done: list[int] = field(default_factory=list)
    tasks_kept: list[dict[str, JSON]] = field(default_factory=list)
    tasks_moved: list[dict[str, JSON]] = field(default_factory=list)
    items_done: list[Row] = field(default_factory=list)
    items_failed: list[Row] = field(default_factory=list)
    items_tried: list[dict[str, JSON]] = field(default_factory=list)
    outputs: list[Row] = field(default_factory=list)
    done: int = 0
    reused: int = 0

    def attempt(self, outcome: Outcome, end: str) -> None:
        """Remember an attempt that ended."""
        failure = outcome.failure
        self.attempts.append(
            (
                outcome.task,
                outcome.epoch,
                end,
                outcome.worker[:LONGEST_WORKER],
                self.now,
                outcome.seconds,
                outcome.peak_bytes,
                None if failure is None else asdict(failure),
                outcome.counts or None,
            )
        )

    def item_done(self, end: ItemEnd, files: Sequence[Output]) -> None:
        """The item is done; with files, it is once they are published."""
        if not files:
            self.done += 1
            self.reused += end.reused
        self.items_done.append(
            (
                end.item,
                "publishing" if files else "done",
                end.tries,
                end.seconds,
                end.sha256,
                end.work_key,
                int(end.reused),
                end.token if files else None,
                end.result,
                self.now,
            )
        )
        for number, one in enumerate(files):
            self.outputs.append((end.item, number, one.path, one.size, one.sha256, one.mtime_ns))

    def item_failed(self, end: ItemEnd, failure: Failure) -> None:
        """The item has failed for good."""
        self.items_failed.append(
            (
                end.item,
                str(ItemState.FAILED),
                end.tries,
                end.seconds,
                end.sha256,
                failure.code,
                asdict(failure),
                self.now,
            )
        )

    def write(self, connection: Connection) -> None:
        """Write all of it, in the one transaction."""
        execute_many(connection, _INSERT_ATTEMPTS, ATTEMPT, self.attempts)
        self._write_tasks(connection)
        execute_many(connection, _UPDATE_ITEMS_DONE, ITEM_DONE, self.items_done)
        execute_many(connection, _UPDATE_ITEMS_FAILED, ITEM_FAILED, self.items_failed)
        if self.items_tried:
            connection.execute(_UPDATE_ITEMS_TRIED, self.items_tried)
        if self.outputs:
            self._forget_outputs(connection)
            execute_many(connection, _INSERT_OUTPUTS, OUTPUT, self.outputs)

    def _write_tasks(self, connection: Connection) -> None:
        for start in range(0, len(self.tasks_done), CHUNK):
            connection.execute(
                update(tasks)
                .where(among(tasks.c.id, self.tasks_done[start : start + CHUNK]))
                .values(state=str(TaskState.DONE), attempts=tasks.c.attempts + 1, lease_until=None)
            )
        if self.tasks_kept:
            connection.execute(_UPDATE_TASKS_KEPT, self.tasks_kept)
        if self.tasks_moved:
            connection.execute(_UPDATE_TASKS_MOVED, self.tasks_moved)

    def _forget_outputs(self, connection: Connection) -> None:
        """An item that is published a second time (its staging was lost) has new outputs."""
        every = sorted({row[0] for row in self.outputs})
        for start in range(0, len(every), CHUNK):
            some = every[start : start + CHUNK]
            connection.execute(delete(outputs).where(among(outputs.c.item, some)))


_UPDATE_ITEMS_TRIED = (
    update(items)
    .where(items.c.id == bindparam("this"))
    .values(
        attempts=items.c.attempts + bindparam("more"),
        seconds=items.c.seconds + bindparam("took"),
        sha256=func.coalesce(bindparam("digest"), items.c.sha256),
    )
)

_UPDATE_TASKS_KEPT = (
    update(tasks)
    .where(tasks.c.id == bindparam("this"))
    .values(
        state=str(TaskState.DONE),
        attempts=tasks.c.attempts + 1,
        lease_until=None,
        result=bindparam("record"),
        outputs=bindparam("files"),
    )
)

_UPDATE_TASKS_MOVED = (
    update(tasks)
    .where(tasks.c.id == bindparam("this"))
    .values(
        state=bindparam("to"),
        attempts=bindparam("tries"),
        not_before=bindparam("after"),
        lease_until=None,
    )
)
