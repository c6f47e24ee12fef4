"""Workers as the database has them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from grange.accounts.tables import Record
from grange.core.ids import ID_LENGTH, new_id
from grange.errors import Conflict, CredentialsInvalid, NameTaken, WorkerNotFound
from grange.pool.models import JSON, Facts, Worker, WorkerState, WorkerToken
from grange.pool.tables import workers

MOST_WORKERS = 10_000
LONGEST_NAME = 200

_HERE = workers.c.state != WorkerState.REMOVED


def worker_of(row: Record) -> Worker:
    """The worker of a row."""
    return Worker(
        id=row.id,
        name=row.name,
        state=WorkerState(row.state),
        labels=tuple(row.labels),
        capacity=row.capacity,
        version=row.version,
        protocol=row.protocol,
        system=row.system,
        address=row.address,
        metrics_url=row.metrics_url,
        joined_at=row.joined_at,
        seen_at=row.seen_at,
        beat=row.beat or {},
    )


def every(connection: Connection) -> list[Worker]:
    """The workers that were not removed, by name."""
    query = select(workers).where(_HERE).order_by(workers.c.name, workers.c.id)
    return [worker_of(row) for row in connection.execute(query)]


def find(connection: Connection, ref: str) -> Worker:
    """The worker of an id or of a name that one alone has.

    Raises:
        WorkerNotFound: There is none, or there are several.
    """
    wanted = (workers.c.id == ref[: ID_LENGTH + 1]) | (workers.c.name == ref[:LONGEST_NAME])
    found = [
        worker_of(row) for row in connection.execute(select(workers).where(_HERE & wanted).limit(3))
    ]
    exact = [worker for worker in found if worker.id == ref] or found
    if len(exact) != 1:
        several = "Several workers are" if found else "No worker is"
        raise WorkerNotFound(
            f"{several} called {ref[:LONGEST_NAME]!r}.", hint="See them all: grange workers list"
        )
    return exact[0]


def of_key(connection: Connection, worker: str, key: str) -> Worker | None:
    """The worker of this id, if its secret has this digest."""
    mine = (workers.c.id == worker) & (workers.c.key == key)
    row = connection.execute(select(workers).where(mine)).first()
    return None if row is None else worker_of(row)


def joined_before(connection: Connection, key: str, token: str) -> Worker | None:
    """The worker that has joined by this very token and secret already.

    Raises:
        CredentialsInvalid: The secret is that of another worker, or of a removed one.
    """
    row = connection.execute(select(workers).where(workers.c.key == key)).first()
    if row is None:
        return None
    if row.token != token or row.state == WorkerState.REMOVED:
        raise CredentialsInvalid(
            "The worker has joined already by another token, or was removed.",
            hint="Let it join anew: it makes another secret then.",
        )
    return worker_of(row)


def add(
    connection: Connection,
    facts: Facts,
    token: WorkerToken,
    *,
    key: str,
    address: str,
    now: float,
) -> Worker:
    """Take a machine in; a name that is taken gets a number.

    Raises:
        Conflict: There are too many workers.
    """
    count = connection.execute(select(func.count()).select_from(workers).where(_HERE)).scalar_one()
    if count >= MOST_WORKERS:
        raise Conflict(
            f"There are {MOST_WORKERS} workers already.", hint="Remove those that are gone."
        )
    labels = tuple(sorted({*facts.labels, *token.labels}))
    worker = Worker(
        id=new_id(),
        name=_free_name(connection, facts.name),
        state=WorkerState.ACTIVE,
        labels=labels,
        capacity=facts.capacity,
        version=facts.version,
        protocol=facts.protocol,
        system=facts.system,
        address=address[:64],
        metrics_url=facts.metrics_url,
        joined_at=now,
        seen_at=now,
    )
    row = {**vars(worker), "labels": list(labels), "beat": None, "key": key, "token": token.id}
    connection.execute(insert(workers).values(row))
    return worker


def drop(connection: Connection, worker: Worker) -> None:
    """Delete a worker's row."""
    connection.execute(delete(workers).where(workers.c.id == worker.id))


def change(connection: Connection, worker: Worker, **values: object) -> Worker:
    """Set columns of a worker's row, and return it as it is then.

    Raises:
        NameTaken: Another one has the name.
    """
    name = values.get("name")
    if name is not None and name != worker.name and _is_taken(connection, str(name)):
        raise NameTaken(f"Another worker is called {name}.", hint="Choose another name.")
    connection.execute(update(workers).where(workers.c.id == worker.id).values(values))
    known = {one: value for one, value in values.items() if one in vars(worker)}
    return replace(worker, **known)  # type: ignore[arg-type]  # columns have the fields' types


def keep_beats(connection: Connection, beats: Sequence[Mapping[str, JSON]]) -> None:
    """Write down beats, each with `worker`, `at` and the columns that it sets, all the same."""
    named = sorted(set(beats[0]) - {"worker", "at"})
    mine = (workers.c.id == bindparam("b_worker")) & (workers.c.seen_at <= bindparam("b_at"))
    statement = (
        update(workers)
        .where(mine & _HERE)
        .values(seen_at=bindparam("b_at"), **{name: bindparam(f"b_{name}") for name in named})
    )
    given = [{f"b_{name}": value for name, value in beat.items()} for beat in beats]
    connection.execute(statement, given)


def to_forget(connection: Connection) -> list[str]:
    """The removed workers that the engine may still know."""
    query = select(workers.c.id).where(~_HERE & (workers.c.known_to_engine == 1)).limit(1000)
    return list(connection.execute(query).scalars())


def forgotten(connection: Connection, removed: Collection[str]) -> None:
    """Note that the engine knows these workers no longer."""
    connection.execute(update(workers).where(workers.c.id.in_(removed)).values(known_to_engine=0))


def sweep(connection: Connection, *, removed: float) -> None:
    """Delete those that were removed before then."""
    over = ~_HERE & (workers.c.removed_at < removed) & (workers.c.known_to_engine == 0)
    connection.execute(delete(workers).where(over))


def unseen(connection: Connection, before: float) -> list[str]:
    """Those that were last seen before then."""
    query = select(workers.c.id).where(_HERE & (workers.c.seen_at < before))
    return list(connection.execute(query).scalars())


def remove_unseen(
    connection: Connection, some: Sequence[str], before: float, *, now: float
) -> None:
    """Remove those of these that were last seen before then."""
    lost = _HERE & (workers.c.seen_at < before) & (workers.c.id == bindparam("b_worker"))
    values = {"state": str(WorkerState.REMOVED), "removed_at": now}
    if some:
        given = [{"b_worker": worker} for worker in some]
        connection.execute(update(workers).where(lost).values(values), given)


def _free_name(connection: Connection, wanted: str) -> str:
    if not _is_taken(connection, wanted):
        return wanted
    short = wanted[: LONGEST_NAME - 8]
    numbered = (f"{short}-{number}" for number in itertools.count(2))
    return next(name for name in numbered if not _is_taken(connection, name))


def _is_taken(connection: Connection, name: str) -> bool:
    query = select(workers.c.id).where(_HERE & (workers.c.name == name)).limit(1)
    return connection.execute(query).first() is not None
