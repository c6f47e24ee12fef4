"""What a worker that shares no disk with the server holds: its input, its outputs, its parts.

A worker names an attempt by its run, its task and its epoch. Only the attempt
that the ledger has as the task's present one gets anything: a late one is told
so, and can't touch what its successor does. And it has one worker: whoever the
driver has heard of as the one that took it, or else the first that asks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select, update

from grange.core.states import TaskState
from grange.core.tasks import TaskKind, incoming_token, staging_token
from grange.db import Database
from grange.errors import ClaimEnded, StoreMissing
from grange.runs.filesource import FileSource
from grange.runs.tables import Record, items, runs, tasks
from grange.storage import Store, Stored, file_uri, open_store, seal
from grange.storage.arrivals import Arrival, Arrivals
from grange.storage.s3urls import is_s3

if TYPE_CHECKING:
    from grange.runs.bucketsource import BucketSource

# So many parts are told at once; an item may have a hundred thousand.
MOST_PARTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An attempt that is under way, with what it works on."""

    run: str
    number: int
    out: str
    task: int
    epoch: int
    worker: str  # who asks, and has it
    kind: TaskKind
    item: int | None
    path: str = ""
    uri: str = ""
    size: int = 0
    mtime_ns: int = 0

    @property
    def token(self) -> str:
        """The name of the folder in which its outputs are staged."""
        return staging_token(self.run, self.task, self.epoch)


@dataclass(frozen=True, slots=True)
class StagedPart:
    """What the attempt at a part of an item has left for the merge."""

    token: str
    files: Sequence[Stored]


class Handing:
    """Hands bytes to workers and takes theirs. Safe to use from several threads at once."""

    def __init__(self, database: Database, *, logs: Path, work: Path | None = None) -> None:
        """Serve the runs of `database`, whose logs lie below `logs`.

        `work` is where outputs for stores elsewhere are staged on this machine, by whoever drives.
        """
        self._database = database
        self._logs = logs
        self._work = work
        self._arrivals = Arrivals()

    def held(self, run: str, task: int, epoch: int, *, worker: str) -> Held:
        """The attempt of this name, which is this worker's from now on if it is nobody's yet.

        Raises:
            ClaimEnded: There is none under way, any more or at all; or another worker has it.
        """
        row = self._find(run, task)
        if row is None or (row.state, row.epoch) != (TaskState.RUNNING, epoch):
            raise ClaimEnded(
                f"Attempt {task}-{epoch} of run {run[:20]} is not under way.",
                hint="Drop this work: it is done by another worker, or not wanted any more.",
            )
        if (row.holder or self._bind(task, epoch, worker)) != worker:
            raise ClaimEnded(
                f"Attempt {task}-{epoch} of run {run[:20]} is another worker's.",
                hint="Drop this work: it was not given to this worker.",
            )
        return _held(run, task, row, worker)

    def _find(self, run: str, task: int) -> Record | None:
        query = (
            select(
                *(tasks.c.state, tasks.c.epoch, tasks.c.kind, tasks.c.item, tasks.c.holder),
                *(runs.c.number, runs.c.out),
                *(items.c.path, items.c.uri, items.c.size, items.c.mtime_ns),
            )
            .join(runs, runs.c.number == tasks.c.run)
            .join(items, items.c.id == tasks.c.item, isouter=True)
            .where(tasks.c.id == task, runs.c.id == run)
        )
        with self._database.read() as connection:
            return connection.execute(query).first()

    def _bind(self, task: int, epoch: int, worker: str) -> str | None:
        """Whose the attempt is from now on: of several that ask at once it is one's."""
        mine = (tasks.c.id == task, tasks.c.epoch == epoch, tasks.c.state == TaskState.RUNNING)

        def work(connection: Connection) -> str | None:
            statement = update(tasks).where(*mine, tasks.c.holder.is_(None))
            if connection.execute(statement.values(holder=worker)).rowcount:
                return worker
            return connection.execute(select(tasks.c.holder).where(*mine)).scalar()

        return self._database.transact(work)

    def source(self, held: Held) -> FileSource | BucketSource:
        """The attempt's input, which was found unchanged just now.

        Raises:
            InputMissing, InputUnreadable, InputChanged: As they say.
            StoreUnreachable: Its bucket is away.
        """
        if is_s3(held.uri):
            # Most servers never need what this imports.
            from grange.runs.bucketsource import BucketSource

            there = BucketSource(held.path, held.uri, held.size, held.mtime_ns)
            there.find()
            return there
        source = FileSource(held.path, held.uri, held.size, held.mtime_ns)
        os.close(source.open())
        return source

    def arrival(
        self, held: Held, path: str, *, offset: int = 0, size: int | None = None
    ) -> Arrival:
        """A place for an output, or for the piece of it that begins at `offset`.

        Raises:
            StorePathRefused: The path is none, or another output is in its way.
            UploadConflict: The pieces before are not there, or another one is just coming in.
        """
        store = self._store(held)
        folder = store.staging(held.token)
        return self._arrivals.begin(
            folder, store.staging(incoming_token(held.token)), path, offset=offset, size=size
        )

    def check(self, held: Held) -> None:
        """Make sure that the attempt is still under way.

        Raises:
            ClaimEnded: It is not.
        """
        self.held(held.run, held.task, held.epoch, worker=held.worker)

    def seal(self, held: Held, wanted: Sequence[Stored]) -> tuple[list[str], list[Stored]]:
        """Make exactly these outputs durable; what else was staged is removed.

        Returns the paths of those that are not there as they should be, and nothing is
        sealed then; or none, and the outputs as they are to be told in the outcome.

        Raises:
            OutputRefused: Something that is staged can't be published.
        """
        store = self._store(held)
        folder = store.staging(held.token)
        here = {one.path: one for one in seal(folder, known=self._arrivals.known(folder))}
        names = {one.path for one in wanted}
        missing = [one.path for one in wanted if not _is_same(one, here.get(one.path))]
        if missing:
            return missing, []
        extra = open_store(file_uri(folder))
        for path in here.keys() - names:
            extra.delete(path)
        store.discard(incoming_token(held.token))
        self._arrivals.forget(folder)
        return [], [here[path] for path in sorted(names)]

    def parts(self, held: Held, *, after: int = 0, limit: int = MOST_PARTS) -> list[StagedPart]:
        """What is staged of the parts that the attempt is to merge, from the `after`th on."""
        store = self._store(held)
        tokens = self._part_tokens(held)[after : after + limit]
        return [StagedPart(token, list(_staged(store, token).list())) for token in tokens]

    def part_file(self, held: Held, token: str, path: str) -> tuple[Store, Stored]:
        """The store and the entry of a file of a part that the attempt is to merge.

        Raises:
            StoreMissing: It is to merge no such part, or the part has no such file.
        """
        if token not in self._part_tokens(held):
            raise StoreMissing(f"Attempt {held.task}-{held.epoch} merges no part {token[:60]!r}.")
        staged = _staged(self._store(held), token)
        found = staged.stat(path)
        if found is None:
            raise StoreMissing(f"Part {token!r} has no file {path[:200]!r}.")
        return staged, found

    def log(self, held: Held, stream: str) -> Path:
        """Where the attempt's `out` or `err` is kept."""
        folder = self._logs / held.run
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{held.task}-{held.epoch}.{stream}"

    def _store(self, held: Held) -> Store:
        return open_store(held.out, work=self._work)

    def _part_tokens(self, held: Held) -> list[str]:
        if held.kind is not TaskKind.MERGE or held.item is None:
            return []
        query = (
            select(tasks.c.id, tasks.c.epoch, tasks.c.part)
            .where(
                tasks.c.item == held.item,
                tasks.c.kind == TaskKind.PROCESS,
                tasks.c.state == TaskState.DONE,
            )
            .order_by(tasks.c.part, tasks.c.id)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        # After a retry a part may have been done twice; the later one's files are there.
        last = {row.part: staging_token(held.run, row.id, row.epoch) for row in rows}
        return list(last.values())


def _held(run: str, task: int, row: Record, worker: str) -> Held:
    return Held(
        run=run,
        number=row.number,
        out=row.out,
        task=task,
        epoch=row.epoch,
        worker=worker,
        kind=TaskKind(row.kind),
        item=row.item,
        path=row.path or "",
        uri=row.uri or "",
        size=row.size or 0,
        mtime_ns=row.mtime_ns or 0,
    )


def _staged(store: Store, token: str) -> Store:
    return open_store(file_uri(store.staged_here(token)))


def _is_same(wanted: Stored, here: Stored | None) -> bool:
    return here is not None and (wanted.size, wanted.sha256) == (here.size, here.sha256)
