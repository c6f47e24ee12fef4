"""Statements over many rows do on every database what they would do row by row."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import bindparam, insert, update

from grange.db import Database, bulk, execute_many
from tests.db.tables import files, rows

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
