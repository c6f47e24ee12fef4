"""Finding equal work that was done before, so that doing it again costs nothing.

Two ways lead to it: the same file, unchanged by its size and modification
time; or the same bytes under another name or date, which are read once to
learn their digest, and only where an equal size makes that promising.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, select

from grange.core.states import ItemState
from grange.core.tasks import JSON, Output
from grange.db import among
from grange.errors import StoreError
from grange.runs.driven import Driven
from grange.runs.keys import work_key
from grange.runs.manifest import published_path
from grange.runs.tables import Record, items, outputs, runs
from grange.storage import Store, Stored, open_store


@dataclass(frozen=True, slots=True)
class Earlier:
    """An item done before, whose work equals what is to be done."""

    item: int
    path: str
    out: str
    sha256: str | None
    work_key: int | None
    result: JSON
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True)
class Reuse:
    """What can be had: the result where it lies, a copy of it, or (both None) a digest first."""

    in_place: Earlier | None = None
    copy: JSON = None


def has_kin(connection: Connection, number: int, function_key: str) -> bool:
    """Whether another run of the same function has done anything."""
    query = select(runs.c.number).where(
        runs.c.function_key == function_key, runs.c.number != number, runs.c.items_done > 0
    )
    return connection.execute(query.limit(1)).first() is not None


def find_reuse(connection: Connection, driven: Driven, rows: Sequence[Record]) -> dict[int, Reuse]:
    """For each item for which something can be had: what."""
    found = _same_file(connection, driven, rows)
    open_rows = [row for row in rows if row.id not in found]
    found |= _same_bytes(connection, driven, [row for row in open_rows if row.sha256 is not None])
    unread = [row for row in open_rows if row.sha256 is None]
    sizes = _known_sizes(connection, driven, unread)
    chosen = _obtained(driven, [(row, found[row.id]) for row in rows if row.id in found])
    for row in rows:
        if row.id not in found and row.sha256 is None and row.size in sizes:
            chosen[row.id] = Reuse()
    return {row.id: chosen[row.id] for row in rows if row.id in chosen}


def _same_file(
    connection: Connection, driven: Driven, rows: Sequence[Record]
) -> dict[int, Earlier]:
    wanted = {row.uri_key: row for row in rows}
    query = _done_before(driven).where(items.c.uri_key.in_(list(wanted)))
    matches: dict[int, Record] = {}
    for earlier in connection.execute(query):
        row = wanted[earlier.uri_key]
        same_name = driven.name_of(row.path) == driven.name_of(earlier.path)
        unchanged = (row.size, row.mtime_ns) == (earlier.size, earlier.mtime_ns)
        if unchanged and same_name and row.uri == earlier.uri:
            matches[row.id] = earlier
    return _with_outputs(connection, matches)


def _same_bytes(
    connection: Connection, driven: Driven, rows: Sequence[Record]
) -> dict[int, Earlier]:
    if not rows:
        return {}
    wanted: dict[int, list[Record]] = {}
    for row in rows:
        key = work_key(driven.function_key, row.sha256, driven.name_of(row.path))
        wanted.setdefault(key, []).append(row)
    query = _done_before(driven).where(items.c.work_key.in_(list(wanted)))
    matches: dict[int, Record] = {}
    for earlier in connection.execute(query):
        bytes_and_name = (earlier.sha256, driven.name_of(earlier.path))
        for row in wanted[earlier.work_key]:
            if bytes_and_name == (row.sha256, driven.name_of(row.path)):
                matches[row.id] = earlier
    return _with_outputs(connection, matches)


def _known_sizes(connection: Connection, driven: Driven, rows: Sequence[Record]) -> set[int]:
    """Those sizes among the rows' that an item done by a run of the same function has."""
    if not rows:
        return set()
    query = (
        select(items.c.size)
        .distinct()
        .join(runs, runs.c.number == items.c.run)
        .where(
            runs.c.function_key == driven.function_key,
            items.c.run != driven.number,
            items.c.weight.in_({row.weight for row in rows}),
            items.c.size.in_({row.size for row in rows}),
            items.c.state == ItemState.DONE,
        )
    )
    return set(connection.execute(query).scalars())


def _done_before(driven: Driven) -> Any:  # noqa: ANN401  # the type of a select of many columns
    return (
        select(items, runs.c.out)
        .join(runs, runs.c.number == items.c.run)
        .where(
            runs.c.function_key == driven.function_key,
            items.c.run != driven.number,
            items.c.state == ItemState.DONE,
        )
        .order_by(items.c.id)
    )


def _with_outputs(connection: Connection, matches: dict[int, Record]) -> dict[int, Earlier]:
    if not matches:
        return {}
    ids = {earlier.id for earlier in matches.values()}
    query = select(outputs).where(among(outputs.c.item, ids))
    files: dict[int, list[Output]] = {}
    for one in connection.execute(query.order_by(outputs.c.item, outputs.c.number)):
        files.setdefault(one.item, []).append(Output(one.path, one.size, one.sha256, one.mtime_ns))
    return {
        wanted: Earlier(
            item=row.id,
            path=row.path,
            out=row.out,
            sha256=row.sha256,
            work_key=row.work_key,
            result=row.result,
            outputs=tuple(files.get(row.id, ())),
        )
        for wanted, row in matches.items()
    }


def _obtained(driven: Driven, pairs: Sequence[tuple[Record, Earlier]]) -> dict[int, Reuse]:
    """What can be had of these; where looking takes time, it is done at some at once."""

    def obtain(pair: tuple[Record, Earlier]) -> Reuse | None:
        return _obtain(driven, *pair)

    if driven.store.publishers == 1 or len(pairs) <= 1:
        looked = [obtain(pair) for pair in pairs]
    else:
        with ThreadPoolExecutor(driven.store.publishers, thread_name_prefix="reuse") as pool:
            looked = list(pool.map(obtain, pairs))
    return {row.id: one for (row, _), one in zip(pairs, looked, strict=True) if one}


@lru_cache(maxsize=8)
def _store_at(url: str) -> Store:
    """A store that is read again and again; its connections are worth keeping."""
    return open_store(url)


def _obtain(driven: Driven, row: Record, earlier: Earlier) -> Reuse | None:
    """How to have the earlier result; None when its outputs are not what they were."""
    if not earlier.outputs:
        return Reuse(in_place=earlier)
    base = published_path(earlier.path)
    expect = [Stored(one.path, one.size, one.sha256, one.mtime_ns) for one in earlier.outputs]
    try:
        store = driven.store if earlier.out == driven.job.store else _store_at(earlier.out)
        if not store.published(base, expect):
            return None
    except StoreError:
        # A place that can't be read any more has nothing to offer.
        return None
    if earlier.out == driven.job.store and base == published_path(row.path):
        return Reuse(in_place=earlier)
    files = [[one.path, one.size, one.sha256, one.mtime_ns] for one in earlier.outputs]
    return Reuse(
        copy={"store": earlier.out, "base": base, "outputs": files, "result": earlier.result}
    )
