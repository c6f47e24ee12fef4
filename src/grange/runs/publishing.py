"""Publishing: accepted results are put under their items' names, and then the items are done.

The ledger says `publishing` before a byte moves, and `done` after. Whatever
dies in between, `recover` finds the item and brings it to its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from sqlalchemy import Connection, bindparam, select, update

from grange.core.events import ItemEnded
from grange.core.states import ItemState
from grange.core.tasks import Failure, Output
from grange.db import Database
from grange.errors import StoreDenied, StoreFull, StoreMissing, StorePathRefused
from grange.runs.counting import count
from grange.runs.driven import Driven
from grange.runs.manifest import published_path
from grange.runs.outcomes import Publication
from grange.runs.planning import CHUNK
from grange.runs.tables import items, outputs
from grange.storage import Stored


@dataclass(slots=True)
class Published:
    """What became of the publications: ended items, and those that must be worked on again."""

    ended: list[ItemEnded] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)
    # Set when the store has no room: what was not published waits as it is.
    full: StoreFull | None = None


def publish(
    database: Database, driven: Driven, publications: Sequence[Publication], *, now: float
) -> Published:
    """Put each under its item's name, then write all their ends in one transaction.

    Safe to repeat: an item that is there already is a success.
    """
    answer = Published()
    done: list[int] = []
    refused: list[tuple[int, Failure]] = []
    for one in publications:
        try:
            _publish(driven, one)
        except StoreFull as error:
            answer.full = error
            break
        except StoreMissing:
            answer.gone.append(one.item)
        except (StorePathRefused, StoreDenied) as error:
            failure = Failure("output.refused", error.message, retryable=False)
            refused.append((one.item, failure))
            answer.ended.append(_refused(one.ended, failure))
        else:
            done.append(one.item)
            answer.ended.append(one.ended)
    reused = sum(event.reused for event in answer.ended if event.state is ItemState.DONE)
    _finish(database, driven, done, refused, reused=reused, now=now)
    if answer.gone:
        _again(database, driven, answer.gone)
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


def _publish(driven: Driven, one: Publication) -> None:
    expect = [Stored(file.path, file.size, file.sha256, file.mtime_ns) for file in one.outputs]
    driven.store.publish(one.token, published_path(one.ended.path), expect=expect)


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
    done: Sequence[int],
    refused: Sequence[tuple[int, Failure]],
    *,
    reused: int,
    now: float,
) -> None:
    def work(connection: Connection) -> None:
        for start in range(0, len(done), CHUNK):
            connection.execute(
                update(items)
                .where(items.c.id.in_(done[start : start + CHUNK]))
                .values(state=str(ItemState.DONE), token=None, ended_at=now)
            )
        if refused:
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
                    {"this": item, "code": failure.code, "why": asdict(failure)}
                    for item, failure in refused
                ],
            )
            _no_outputs(connection, [item for item, _ in refused])
        count(connection, driven.number, done=len(done), failed=len(refused), reused=reused)

    if done or refused:
        database.transact(work)


def _again(database: Database, driven: Driven, gone: Sequence[int]) -> None:
    """Neither staged nor published: somebody has removed them. The work is to be done again."""

    def work(connection: Connection) -> None:
        connection.execute(
            update(items)
            .where(items.c.id.in_(gone))
            .values(state=str(ItemState.WAITING), token=None, work_key=None, ended_at=None)
        )
        _no_outputs(connection, gone)

    database.transact(work)
    driven.cursor.weight, driven.cursor.at_end = None, False


def _no_outputs(connection: Connection, of: Sequence[int]) -> None:
    connection.execute(outputs.delete().where(outputs.c.item.in_(of)))
