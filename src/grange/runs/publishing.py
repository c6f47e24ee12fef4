"""Publishing: accepted results are put under their items' names, and then the items are done.

The ledger says `publishing` before a byte moves, and `done` after. Whatever
dies in between, `recover` finds the item and brings it to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain

from sqlalchemy import Connection, bindparam, select, update

from grange.core.events import ItemEnded
from grange.core.states import ItemState
from grange.core.tasks import Failure, Output
from grange.db import Database, among
from grange.errors import (
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StorePathRefused,
    StoreUnreachable,
)
from grange.runs.counting import count
from grange.runs.driven import Driven
from grange.runs.manifest import published_path
from grange.runs.outcomes import Publication
from grange.runs.planning import CHUNK
from grange.runs.tables import items, outputs
from grange.storage import Stored


@dataclass(slots=True)
class Published:
    """What became of the publications."""

    ended: list[ItemEnded] = field(default_factory=list)
    # Set when the store has no room, or is away: what was not published waits as it is.
    halted: StoreError | None = None


def publish(
    database: Database, driven: Driven, publications: Sequence[Publication], *, now: float
) -> Published:
    """Put each under its item's name, then write all their ends in one transaction.

    Safe to repeat: an item that is there already is a success. What another driver
    has brought to its end meanwhile is not told, and not counted, once more.
    """
    answer = Published()
    done: list[Publication] = []
    refused: list[tuple[Publication, Failure]] = []
    gone: list[Publication] = []
    for one, error in _each(driven, publications):
        match error:
            case None:
                done.append(one)
            case StoreMissing():
                gone.append(one)
            case StorePathRefused() | StoreDenied() | StoreCorrupt():
                refused.append((one, Failure("output.refused", error.message, retryable=False)))
            case _:
                answer.halted = error
    if done or refused:
        answer.ended += _finish(database, driven, done, refused, now=now)
    if gone:
        _again(database, driven, gone)
    return answer


def recover(database: Database, driven: Driven) -> list[Publication]:
    """The items that an earlier driver left half-way, to be published now."""
    with database.read() as connection:
        rows = connection.execute(
            select(items).where(items.c.run == driven.number, items.c.state == ItemState.PUBLISHING)
        ).all()
        found = []
        for row in rows:
            files = connection.execute(
                select(outputs).where(outputs.c.item == row.id).order_by(outputs.c.number)
            )
            staged = tuple(Output(one.path, one.size, one.sha256, one.mtime_ns) for one in files)
            ended = ItemEnded(
                run=driven.id,
                path=row.path,
                state=ItemState.DONE,
                seconds=row.seconds,
                attempts=row.attempts,
                reused=bool(row.reused),
                outputs=len(staged),
            )
            found.append(Publication(row.id, row.token, staged, ended))
    return found


def _each(
    driven: Driven, publications: Sequence[Publication]
) -> Iterator[tuple[Publication, StoreError | None]]:
    """Publish each, as many at once as the store wants, and say what was wrong with it.

    After what is wrong with all of them the rest is left as it is, for the same reason.
    """
    halting: list[StoreError] = []

    def attempt(one: Publication) -> StoreError | None:
        if halting:
            return halting[0]
        try:
            _publish(driven, one)
        except (StoreFull, StoreUnreachable) as error:
            halting.append(error)
            return error
        except (StoreMissing, StorePathRefused, StoreDenied, StoreCorrupt) as error:
            return error
        return None

    at_once = min(driven.store.publishers, len(publications))
    if at_once <= 1:
        yield from ((one, attempt(one)) for one in publications)
        return
    with ThreadPoolExecutor(at_once, thread_name_prefix="publish") as pool:
        yield from zip(publications, pool.map(attempt, publications), strict=True)


def _publish(driven: Driven, one: Publication) -> None:
    expect = [Stored(file.path, file.size, file.sha256, file.mtime_ns) for file in one.outputs]
    path = published_path(one.ended.path)
    if driven.own_before_ns:
        _spare_own(driven, path, expect)
    driven.store.publish(one.token, path, expect=expect)


def _spare_own(driven: Driven, path: str, expect: Sequence[Stored]) -> None:
    """Publishing replaces a folder: make sure that it is none that a person has filled."""
    here = driven.store.list(path)
    first = next(here, None)
    if first is None:
        return
    made = driven.store.has_published(path)
    is_own = not made
    if made is None:
        is_own = any((one.mtime_ns or 0) < driven.own_before_ns for one in chain([first], here))
    if is_own and not driven.store.published(path, expect):
        message = f"{path!r} in {driven.store.url} holds files that no run has made."
        raise StorePathRefused(message, hint="Move them away, or choose another --out.")


def _refused(ended: ItemEnded, failure: Failure) -> ItemEnded:
    return ItemEnded(
        run=ended.run,
        path=ended.path,
        state=ItemState.FAILED,
        seconds=ended.seconds,
        attempts=ended.attempts,
        failure=asdict(failure),
    )


def _finish(
    database: Database,
    driven: Driven,
    done: Sequence[Publication],
    refused: Sequence[tuple[Publication, Failure]],
    *,
    now: float,
) -> list[ItemEnded]:
    def work(connection: Connection) -> list[ItemEnded]:
        every = [*done, *(one for one, _ in refused)]
        mine = _held(connection, every)
        published = [one for one in done if one.item in mine]
        failed = [(one, failure) for one, failure in refused if one.item in mine]
        _write_done(connection, [one.item for one in published], now)
        if failed:
            _write_refused(connection, failed, now)
        reused = sum(one.ended.reused for one in published)
        count(connection, driven.number, done=len(published), failed=len(failed), reused=reused)
        ended = [one.ended for one in published]
        return ended + [_refused(one.ended, failure) for one, failure in failed]

    return database.transact(work)


def _held(connection: Connection, publications: Sequence[Publication]) -> set[int]:
    """The items that still wait for this very publication: no other driver has seen to them."""
    tokens = {one.item: one.token for one in publications}
    ids = sorted(tokens)
    held: set[int] = set()
    for start in range(0, len(ids), CHUNK):
        query = select(items.c.id, items.c.token).where(
            among(items.c.id, ids[start : start + CHUNK]), items.c.state == ItemState.PUBLISHING
        )
        rows = connection.execute(query.with_for_update())
        held |= {item for item, token in rows if token == tokens[item]}
    return held


def _write_done(connection: Connection, done: Sequence[int], now: float) -> None:
    for start in range(0, len(done), CHUNK):
        connection.execute(
            update(items)
            .where(among(items.c.id, done[start : start + CHUNK]))
            .values(state=str(ItemState.DONE), token=None, ended_at=now)
        )


def _write_refused(
    connection: Connection, refused: Sequence[tuple[Publication, Failure]], now: float
) -> None:
    connection.execute(
        update(items)
        .where(items.c.id == bindparam("this"))
        .values(
            state=str(ItemState.FAILED),
            token=None,
            work_key=None,
            failure_code=bindparam("code"),
            failure=bindparam("why"),
            ended_at=now,
        ),
        [
            {"this": one.item, "code": failure.code, "why": asdict(failure)}
            for one, failure in refused
        ],
    )
    _no_outputs(connection, [one.item for one, _ in refused])


def _again(database: Database, driven: Driven, gone: Sequence[Publication]) -> None:
    """Neither staged nor published: somebody has removed them. The work is to be done again."""

    def work(connection: Connection) -> None:
        mine = sorted(_held(connection, gone))
        connection.execute(
            update(items)
            .where(among(items.c.id, mine))
            .values(state=str(ItemState.WAITING), token=None, work_key=None, ended_at=None)
        )
        _no_outputs(connection, mine)

    database.transact(work)
    driven.cursor.weight, driven.cursor.at_end = None, False


def _no_outputs(connection: Connection, of: Sequence[int]) -> None:
    connection.execute(outputs.delete().where(among(outputs.c.item, of)))
