"""A run's items one after the other, at a cost that grows with nothing but their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from grange.core.states import ItemState
from grange.db import Database
from grange.errors import ItemNotFound
from grange.runs.models import ItemView
from grange.runs.pages import holds
from grange.runs.queries import PAGE, item_of, outputs_of
from grange.runs.tables import Record, items, runs

# Ids among which a path is looked for at once.
WINDOW = 50_000


@dataclass(frozen=True)
class Span:
    """Between which ids a run's items lie, both included."""

    first: int
    last: int

    @classmethod
    def of(cls, connection: Connection, number: int) -> Span:
        """Look it up; runs that were made before this was kept, or are not whole, are counted."""
        query = select(runs.c.items_first, runs.c.items_last).where(runs.c.number == number)
        row = connection.execute(query).first()
        if row is not None and row[0] is not None:
            return cls(row[0], row[1])
        ids = select(func.min(items.c.id), func.max(items.c.id)).where(items.c.run == number)
        first, last = connection.execute(ids).one()
        return cls(first or 0, last or -1)


def iterate_items(
    database: Database, number: int, *, state: ItemState | None = None, with_outputs: bool = True
) -> Iterator[ItemView]:
    """A run's items in the order of submission, streaming in pages: no transaction stays open."""
    with database.read() as connection:
        span = Span.of(connection, number)
    last = span.first - 1
    while last < span.last:
        # Plus nothing: for each page the index of the run would be sorted as a whole.
        query = select(items).where(
            items.c.id > last, items.c.id <= span.last, items.c.run + 0 == number
        )
        if state is ItemState.FAILED:
            # Only failed items have a code: the index of the codes finds them.
            query = select(items).where(
                items.c.run == number, items.c.failure_code.is_not(None), items.c.id > last
            )
        elif state is not None:
            query = query.where(items.c.state == state)
        with database.read_once() as connection:
            rows = connection.execute(query.order_by(items.c.id).limit(PAGE)).all()
            files = outputs_of(connection, rows) if with_outputs else {}
        yield from (item_of(row, files.get(row.id, ())) for row in rows)
        if len(rows) < PAGE:
            return
        last = rows[-1].id


def find_item(database: Database, number: int, path: str) -> ItemView:
    """The item of this path; also by the end of its path, when just one ends so.

    Raises:
        ItemNotFound: There is none, or there are several.
    """
    with database.read() as connection:
        span = Span.of(connection, number)
        chosen: list[int] = []
        for first in range(span.first, span.last + 1, WINDOW):
            top = min(first + WINDOW - 1, span.last)
            found = _holding(connection, number, Span(first, top), path, database.dialect_name)
            exact = [row.id for row in found if row.path == path]
            if exact:
                chosen = exact[:1]
                break
            chosen = (chosen + [row.id for row in found if row.path.endswith(f"/{path}")])[:2]
        if len(chosen) != 1:
            what = "several items whose paths end in" if chosen else "no item"
            raise ItemNotFound(
                f"The run has {what} {path!r}.", hint="See them all: grange runs items RUN"
            )
        rows = connection.execute(select(items).where(items.c.id == chosen[0])).all()
        files = outputs_of(connection, rows)
    return item_of(rows[0], files.get(rows[0].id, ()))


def _holding(
    connection: Connection, number: int, span: Span, path: str, dialect_name: str
) -> Sequence[Record]:
    """The ids and paths of those in which this text is somewhere."""
    query = select(items.c.id, items.c.path).where(
        items.c.id.between(span.first, span.last),
        items.c.run + 0 == number,
        holds(items.c.path, path, dialect_name),
    )
    return connection.execute(query.order_by(items.c.id)).all()
