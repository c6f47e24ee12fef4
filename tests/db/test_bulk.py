"""Statements over many rows do on every database what they would do row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, event, insert, select, update

from grange.db import Chosen, Database, among, bulk, execute_many, open_database
from tests.db.tables import files, make_tables, rows

NAMES = ("key", "path", "facts", "seen_at", "size", "title")
INSERTED = insert(files)
CHANGED = (
    update(files)
    .where(files.c.key == bindparam("which"))
    .values(size=bindparam("length"), facts=bindparam("record"), path=bindparam("place"))
)

# What an array, a piece of JSON or a format could be broken by, and what is nothing.
ROWS: list[tuple[Any, ...]] = [
    ("a", 'with "quotes", commas and {braces}', {"of": ['"', "\\", None]}, 1, 2**40, "x"),
    ("b", "back\\slash\nline %s %(key)s", [1, 2.5, "NULL"], 0.5, 0, "NULL"),
    ("c", None, None, None, None, None),
    ("ä 🦊", "", "", 1e300, -1, ""),
]


@pytest.mark.parametrize("at_once", [1, 3, 5000])
def test_rows_arrive_as_they_were_given(
    database: Database, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Whatever is in them, and however many go together."""
    monkeypatch.setattr(bulk, "ROWS_AT_ONCE", at_once)
    with database.write() as connection:
        execute_many(connection, INSERTED, NAMES, ROWS)

    found = [tuple(row[name] for name in NAMES) for row in rows(database)]

    assert ROWS == found


def test_each_row_changes_its_own(database: Database) -> None:
    """Rows that are not named stay as they are, and those that are not there are nobody's."""
    with database.write() as connection:
        execute_many(connection, INSERTED, NAMES, ROWS)
        changed = [("a", None, None, None), ("c", 7, {"new": True}, "there"), ("z", 1, None, None)]
        execute_many(connection, CHANGED, ("which", "length", "record", "place"), changed)

    found = {row["key"]: (row["size"], row["facts"], row["path"]) for row in rows(database)}

    assert (None, None, None) == found["a"]
    assert (7, {"new": True}, "there") == found["c"]
    assert (0, ROWS[1][2], ROWS[1][1]) == found["b"]
    assert len(ROWS) == len(found)


def test_no_rows_are_no_statement(database: Database) -> None:
    """Nothing to write is nothing to say."""
    with database.write() as connection:
        execute_many(connection, INSERTED, NAMES, [])

    assert [] == rows(database)


SIZES = [*range(0, 50, 7), 2**40, -1]
CHOSEN = Chosen(select(files.c.size).where(files.c.title != bindparam("not_this")), files.c.size)


def numbered(database: Database) -> None:
    """Store a row for each of the sizes."""
    rows = [(str(size), None, None, None, size, "x") for size in SIZES]
    with database.write() as connection:
        execute_many(connection, INSERTED, NAMES, rows)


@pytest.mark.parametrize("wanted", [[], [7], [2**40, 14, 8, -1], range(1000), {7, 0}])
def test_those_that_are_named_are_found(database: Database, wanted: list[int]) -> None:
    """By whatever collection of numbers, and whatever else is asked for."""
    numbered(database)

    with database.read() as connection:
        found = connection.execute(
            select(files.c.size).where(among(files.c.size, wanted), files.c.title == "x")
        ).scalars()
        chosen = CHOSEN.execute(connection, wanted, not_this="y").scalars()
        none = CHOSEN.execute(connection, wanted, not_this="x").scalars()

        assert set(SIZES) & set(wanted) == set(found)
        assert set(SIZES) & set(wanted) == set(chosen)
        assert [] == list(none)


def test_sqlite_is_given_one_statement_for_all_lists(tmp_path: Path) -> None:
    """It keeps hundreds of them, prepared: a thousand numbers in each would fill its memory."""
    said = set()

    def hear(_connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        said.add(statement)

    database = open_database(tmp_path / "grange.db")
    make_tables(database)
    numbered(database)
    with database.write() as connection:
        event.listen(connection, "before_cursor_execute", hear)
        for count in range(2, 40):
            wanted = range(count)
            CHOSEN.execute(connection, wanted, not_this="y")
            connection.execute(
                update(files).where(among(files.c.size, wanted)).values(title="y", size=1)
            )

    database.close()

    assert 2 == len(said)
