"""Statements over thousands of rows, without SQLAlchemy's cost for each of their values."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, ColumnElement, Connection, Insert, TextClause, Update, text

from grange.db.base import JSONText

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as SQLite takes it: its text, the order of its values, and which are JSON."""

    sql: str
    order: tuple[int, ...]
    json: tuple[int, ...]


_PREPARED: WeakKeyDictionary[Insert | Update, _Prepared] = WeakKeyDictionary()


def among(column: Column[Any], numbers: Collection[int]) -> ColumnElement[bool] | TextClause:
    """The condition that a column of whole numbers is one of these.

    Many numbers stand in the statement itself: nothing but digits can. One
    does not, so that the statement is the same the next time.
    """
    if len(numbers) == 1:
        return column == next(iter(numbers))
    name = f"{column.table.name}.{column.name}"
    listed = ",".join([str(int(number)) for number in numbers]) or "NULL"
    return text(f"{name} IN ({listed})")


def execute_many(
    connection: Connection, statement: Insert | Update, names: Sequence[str], rows: Sequence[Row]
) -> None:
    """Execute a statement once for each row of values, given in the order of `names`.

    The statement has no other values than these, and is one that stays: it is
    prepared once.
    """
    if not rows:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
        return
    prepared = _PREPARED.get(statement)
    if prepared is None:
        prepared = _PREPARED[statement] = _prepare(connection, statement, list(names))
    for place in prepared.json:
        rows = [
            row
            if row[place] is None
            else (*row[:place], json.dumps(row[place], separators=(",", ":")), *row[place + 1 :])
            for row in rows
        ]
    if prepared.order != tuple(range(len(names))):
        pick = itemgetter(*prepared.order)
        rows = [pick(row) for row in rows]
    connection.exec_driver_sql(prepared.sql, list(rows))


def _prepare(connection: Connection, statement: Insert | Update, names: list[str]) -> _Prepared:
    compiled = statement.compile(connection, column_keys=names)
    order = tuple(names.index(name) for name in compiled.positiontup or ())
    encoded = tuple(
        place for place, name in enumerate(names) if isinstance(compiled.binds[name].type, JSONText)
    )
    return _Prepared(str(compiled), order, encoded)
