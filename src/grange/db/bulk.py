"""Statements over thousands of rows, without SQLAlchemy's cost for each of their values."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Double,
    Executable,
    Insert,
    Integer,
    Select,
    String,
    TextClause,
    Update,
    bindparam,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from grange.db.base import JSONText

Row = tuple[Any, ...]
JSON = Any

# Rows that PostgreSQL takes in one statement; each has to be in memory there and here.
ROWS_AT_ONCE = 5000

_PLACE = re.compile(r"%\((\w+)\)s")
_VALUES = re.compile(r"VALUES \((.*)\)\s*$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement as SQLite takes it: its text, the order of its values, and which are JSON."""

    sql: str
    order: tuple[int, ...]
    json: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Together:
    """A statement as PostgreSQL takes it for many rows at once; `convert` has one for each value.

    Each value is the array of a column's values.
    """

    sql: str
    convert: tuple[Callable[[Any], Any], ...]


_PREPARED: WeakKeyDictionary[Insert | Update, _Prepared] = WeakKeyDictionary()
_TOGETHER: WeakKeyDictionary[Insert | Update, _Together] = WeakKeyDictionary()


class _Listed(TextClause):
    """A text that never comes again: SQLAlchemy would keep the last hundreds of them."""

    inherit_cache = False

    def __init__(self, column: Column[Any], numbers: Collection[int]) -> None:
        self.column, self.listed = column, _listed(numbers)
        super().__init__(f"{_name(column)} IN ({self.listed or 'NULL'})")


def among(column: Column[Any], numbers: Collection[int]) -> ColumnElement[bool] | TextClause:
    """The condition that a column of whole numbers is one of these.

    Many numbers stand in the statement itself: nothing but digits can. On SQLite they
    are one value, and so is a single number everywhere: the statement is the same the next time.
    """
    if len(numbers) == 1:
        return column == next(iter(numbers))
    return _Listed(column, numbers)


class Chosen:
    """A statement about rows whose column is one of some numbers, of which all else stays.

    What is about a single row is made once: to make a statement costs many times
    what it costs to execute it. Values that change are named in it by `bindparam`.
    """

    def __init__(
        self,
        statement: Select[Any] | Update,
        column: Column[Any],
        *,
        within: Callable[[Any], Executable] = lambda chosen: chosen,
    ) -> None:
        """Take the statement without its condition on that column.

        It may be part of another one: `within` makes that of it, an INSERT of a SELECT say.
        """
        self._statement = statement
        self._column = column
        self._within = within
        self._one = within(statement.where(column == bindparam("one")))
        self._many = within(statement.where(text(_given(column, ":many"))))

    def execute(
        self, connection: Connection, numbers: Collection[int], **values: object
    ) -> CursorResult[Any]:
        """Execute it for the rows of these numbers, with these values."""
        if len(numbers) == 1:
            return connection.execute(self._one, {**values, "one": next(iter(numbers))})
        if connection.dialect.name == "sqlite" and _TAKES_LISTS:
            return connection.execute(self._many, {**values, "many": f"[{_listed(numbers)}]"})
        statement = self._within(self._statement.where(among(self._column, numbers)))
        return connection.execute(statement, values or None)


def execute_many(
    connection: Connection, statement: Insert | Update, names: Sequence[str], rows: Sequence[Row]
) -> None:
    """Execute a statement once for each row of values, given in the order of `names`.

    The statement has no other values than these, and is one that stays: it is
    prepared once. An UPDATE finds other rows with each of them: no two are for the same.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        _one_by_one(connection, statement, names, rows)
    elif connection.dialect.name == "postgresql":
        _together(connection, statement, names, rows)
    else:
        connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


def _name(column: Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"


def _listed(numbers: Collection[int]) -> str:
    return ",".join([str(int(number)) for number in numbers])


# ---- SQLite

# Each connection keeps its last hundreds of statements, prepared. One of a thousand numbers takes
# 100 KB, so that they took more than all pages in memory. Older ones may not know JSON.
_TAKES_LISTS = sqlite3.sqlite_version_info >= (3, 38)


def _given(column: Column[Any], value: str) -> str:
    """The condition that a column is one of the numbers of a value, which is a list in JSON."""
    given = f"SELECT value FROM json_each({value})"  # noqa: S608  # a place for a value, not one
    return f"{_name(column)} IN ({given})"


def _as_value(condition: _Listed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401  # as SQLAlchemy calls it
    listed = bindparam(None, f"[{condition.listed}]", String(), unique=True)
    return _given(condition.column, compiler.process(listed, **options))


if _TAKES_LISTS:
    compiles(_Listed, "sqlite")(_as_value)


def _one_by_one(
    connection: Connection, statement: Insert | Update, names: Sequence[str], rows: Sequence[Row]
) -> None:
    prepared = _PREPARED.get(statement)
    if prepared is None:
        prepared = _PREPARED[statement] = _prepare(connection, statement, list(names))
    for place in prepared.json:
        rows = [
            row if row[place] is None else (*row[:place], _encoded(row[place]), *row[place + 1 :])
            for row in rows
        ]
    if prepared.order != tuple(range(len(names))):
        pick = itemgetter(*prepared.order)
        rows = [pick(row) for row in rows]
    connection.exec_driver_sql(prepared.sql, list(rows))


def _prepare(connection: Connection, statement: Insert | Update, names: list[str]) -> _Prepared:
    compiled = statement.compile(connection, column_keys=names, for_executemany=True)
    order = tuple(names.index(name) for name in compiled.positiontup or ())
    encoded = tuple(
        place for place, name in enumerate(names) if isinstance(compiled.binds[name].type, JSONText)
    )
    return _Prepared(str(compiled), order, encoded)


# ---- PostgreSQL: one statement for thousands of rows, which come as an array of each column


def _together(
    connection: Connection, statement: Insert | Update, names: Sequence[str], rows: Sequence[Row]
) -> None:
    joined = _TOGETHER.get(statement)
    if joined is None:
        joined = _TOGETHER[statement] = _join(connection, statement, list(names))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        columns = zip(*rows[start : start + ROWS_AT_ONCE], strict=True)
        values = {
            name: [None if one is None else convert(one) for one in column]
            for name, convert, column in zip(names, joined.convert, columns, strict=True)
        }
        connection.exec_driver_sql(joined.sql, values)


def _join(connection: Connection, statement: Insert | Update, names: list[str]) -> _Together:
    compiled = statement.compile(connection, column_keys=names, for_executemany=True)
    kinds = [_kind(compiled.binds[name].type) for name in names]
    listed = ", ".join(
        f"CAST(%({name})s AS {kind}[])" for name, (kind, _) in zip(names, kinds, strict=True)
    )
    quoted = ", ".join(f'"{name}"' for name in names)
    source = f"FROM unnest({listed}) AS given({quoted})"
    sql = _PLACE.sub(r'given."\1"', str(compiled))
    if isinstance(statement, Insert):
        sql = _VALUES.sub(lambda found: f"SELECT {found[1]} {source}", sql)
    else:
        changes, _, condition = sql.rpartition(" WHERE ")
        sql = f"{changes} {source} WHERE {condition}"
    return _Together(sql, tuple(convert for _, convert in kinds))


def _kind(of: TypeEngine[Any]) -> tuple[str, Callable[[Any], Any]]:
    """A type as arrays have it, without length and order, and what makes all values alike."""
    if isinstance(of, JSONText):
        return "TEXT", _encoded
    if isinstance(of, Integer):
        return "BIGINT", int
    if isinstance(of, Double):
        return "DOUBLE PRECISION", float
    return "TEXT", str


def _encoded(value: JSON) -> str:
    return json.dumps(value, separators=(",", ":"))
