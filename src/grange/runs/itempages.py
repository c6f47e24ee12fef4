"""A run's items and outputs a page at a time, and all of them at a glance. Reads only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from grange.core.states import ItemState
from grange.db import Database, among
from grange.errors import ItemNotFound
from grange.runs.manifest import published_path
from grange.runs.models import ItemView, RunView
from grange.runs.pages import Part, bad_cursor, holds
from grange.runs.queries import item_of, outputs_of
from grange.runs.tables import Record, items, outputs, runs
from grange.runs.walking import Span
from grange.storage import file_uri, uri_key
from grange.storage.s3urls import is_s3, object_uri, parse_s3

# A text that few items hold is looked for in windows of so many ids, for so long;
# then the page ends early and says where to go on.
WINDOW = 20_000
PATIENCE_SECONDS = 0.4
# Folders in folders that are looked through for an input.
DEEPEST = 64
# Reasons of failure that are looked through one by one.
MOST_CODES = 100
# Fewer ended items than this are sorted; more are met soon enough in their order.
FEW_ENDED = 20_000


@dataclass(frozen=True, kw_only=True)
class ItemFilter:
    """Which of a run's items; `text` is a part of the path."""

    state: ItemState | None = None
    code: str = ""
    text: str = ""


def page_of_items(
    database: Database, run: RunView, wanted: ItemFilter, *, after: str | None, limit: int
) -> Part:
    """A run's items in the order of submission, from the cursor on.

    What is looked for may be rare: a page may then hold fewer than `limit`, none
    even, and still name a next one.

    Raises:
        RequestInvalid: The cursor is none of ours.
    """
    last = _item_cursor(after)
    with database.read() as connection:
        span = Span.of(connection, run.number)
        ids = _Finder(connection, run, wanted, database.dialect_name)
        chosen, reached = ids.find(max(last + 1, span.first), span.last, limit)
        rows = connection.execute(
            select(items).where(among(items.c.id, chosen)).order_by(items.c.id)
        ).all()
        files = outputs_of(connection, rows)
    views = [item_of(row, files.get(row.id, ())) for row in rows]
    return Part(views, str(reached) if reached is not None else None)


def item_by_id(database: Database, run: RunView, item: int) -> ItemView:
    """The run's item of this id.

    Raises:
        ItemNotFound: The run has none.
    """
    with database.read() as connection:
        query = select(items).where(items.c.id == item, items.c.run == run.number)
        rows = connection.execute(query).all()
        if not rows:
            raise ItemNotFound(
                f"Run {run.id} has no item {item}.", hint="See the list of its items."
            )
        files = outputs_of(connection, rows)
    return item_of(rows[0], files.get(item, ()))


class _Finder:
    """Finds the ids of the next items that are wanted, at a cost that has a bound."""

    def __init__(
        self, connection: Connection, run: RunView, wanted: ItemFilter, dialect_name: str
    ) -> None:
        self._connection = connection
        self._run = run
        self._wanted = wanted
        self._conditions = list(_conditions(wanted, dialect_name))

    def find(self, first: int, last: int, limit: int) -> tuple[list[int], int | None]:
        """At most `limit` ids, and the last id that was looked at when there may be more."""
        wanted, counts = self._wanted, self._run.counts
        if wanted.code:
            ids = self._of_code(wanted.code, first, limit + 1)
        elif wanted.state is ItemState.FAILED:
            ids = self._failed(first, limit + 1)
        elif wanted.state is not None and wanted.state.is_finished() and counts.ended < FEW_ENDED:
            ids = self._among_ended(first, limit + 1)
        else:
            return self._walk(first, last, limit)
        return ids[:limit], ids[limit - 1] if len(ids) > limit else None

    def _of_code(self, code: str, first: int, count: int) -> list[int]:
        query = self._query(first).where(
            items.c.run == self._run.number, items.c.failure_code == code
        )
        return list(self._connection.execute(query.limit(count)).scalars())

    def _failed(self, first: int, count: int) -> list[int]:
        found = [one for code in self._codes() for one in self._of_code(code, first, count)]
        return sorted(found)[:count]

    def _codes(self) -> Iterator[str]:
        """The reasons of failure, each by one look at the index."""
        last = ""
        for _ in range(MOST_CODES):
            query = select(func.min(items.c.failure_code)).where(
                items.c.run == self._run.number, items.c.failure_code > last
            )
            code = self._connection.execute(query).scalar()
            if code is None:
                return
            last = code
            yield code

    def _among_ended(self, first: int, count: int) -> list[int]:
        query = self._query(first).where(
            items.c.run == self._run.number, items.c.ended_at.is_not(None)
        )
        return list(self._connection.execute(query.limit(count)).scalars())

    def _walk(self, first: int, last: int, limit: int) -> tuple[list[int], int | None]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        found: list[int] = []
        while first <= last:
            top = min(last, first + max(WINDOW, limit) - 1)
            # Plus nothing: the index of the run would have to be sorted as a whole.
            query = self._query(first).where(items.c.id <= top, items.c.run + 0 == self._run.number)
            more = limit + 1 - len(found)
            found += self._connection.execute(query.limit(more)).scalars()
            if len(found) > limit:
                return found[:limit], found[limit - 1]
            first = top + 1
            if time.monotonic() > deadline and first <= last:
                return found, top
        return found, None

    def _query(self, first: int) -> Select[Any]:
        return select(items.c.id).where(items.c.id >= first, *self._conditions).order_by(items.c.id)


def _conditions(wanted: ItemFilter, dialect_name: str) -> Iterator[Any]:
    if wanted.state is not None:
        yield items.c.state == str(wanted.state)
    if wanted.text:
        yield holds(items.c.path, wanted.text, dialect_name)


def _item_cursor(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004  # 63 bits
        raise bad_cursor(text)
    return int(text)


# ---- outputs


def page_of_outputs(database: Database, run: RunView, *, after: str | None, limit: int) -> Part:
    """What a run's items have published, in their order: rows of (item, path, output's columns)."""
    item, _, number = (after or "").partition("_")
    last, seen = _item_cursor(item), _item_cursor(number) if after else -1
    with database.read() as connection:
        span = Span.of(connection, run.number)
        query = (
            select(outputs, items.c.path.label("item_path"))
            .join(items, items.c.id == outputs.c.item)
            .where(
                outputs.c.item >= max(last, span.first),
                outputs.c.item <= span.last,
                or_(outputs.c.item > last, outputs.c.number > seen),
                items.c.run + 0 == run.number,
                items.c.state == str(ItemState.DONE),
            )
            .order_by(outputs.c.item, outputs.c.number)
        )
        rows: list[Record] = list(connection.execute(query.limit(limit + 1)).all())
    more = len(rows) > limit
    rows = rows[:limit]
    return Part(rows, f"{rows[-1].item}_{rows[-1].number}" if more else None)


def digest_of(database: Database, run: RunView, path: str) -> str | None:
    """The sha256 of a published file by its path below the run's outputs.

    Items are found by where their inputs lie, which has an index; None where
    that tells nothing, as for the run's own files.
    """
    with database.read() as connection:
        plan = connection.execute(select(runs.c.plan).where(runs.c.number == run.number)).scalar()
        keys = {
            uri_key(_input_uri(root, rest))
            for label, root in (plan or {}).get("roots", ())
            for rest in _inputs_of(path, label)
        }
        found = select(items.c.id, items.c.path).where(
            items.c.uri_key.in_(sorted(keys)), items.c.run == run.number
        )
        for item, item_path in connection.execute(found):
            folder = published_path(item_path)
            if path.startswith(f"{folder}/"):
                query = select(outputs.c.sha256).where(
                    outputs.c.item == item, outputs.c.path == path[len(folder) + 1 :]
                )
                digest: str | None = connection.execute(query).scalar()
                return digest
    return None


def _input_uri(root: str, rest: str) -> str:
    """The URI of an input below a root, or of the root itself."""
    if is_s3(root):
        place = parse_s3(root)
        return object_uri(place.bucket, place.prefix + rest) if rest else root
    return file_uri(Path(root) / rest) if rest else file_uri(Path(root))


def _inputs_of(path: str, label: str) -> Iterator[str]:
    """The inputs below a root, or the root itself, whose outputs may have this path."""
    first, slash, rest = path.partition("/")
    for whole in {path, f"{first.removesuffix('.item')}{slash}{rest}"}:
        if not whole.startswith(label):
            continue
        if label and not label.endswith("/"):
            yield ""  # a single file
            continue
        parts = whole[len(label) :].split("/")[:DEEPEST]
        yield from ("/".join(parts[:count]) for count in range(1, len(parts)))
