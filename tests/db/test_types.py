"""Values come back as they were, and are equal only when they are the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from grange.db import Database, Duplicate
from tests.db.tables import files, rows

# Pairs that some database somewhere takes for one and the same.
NAMES = [
    "a",
    "A",
    "a ",
    " a",
    "a\n",
    "ä",
    "a\u0308",
    "ß",
    "ss",
    "🦊",
    "🦝",
    "'; DROP TABLE files; --",
    '"quoted" \\ %s %(x)s :x',
    "-rf",
    "\t",
    "\ue000",
    "k" * 255,
    "k" * 254 + "K",
    "é" * 127,
]


def test_names_are_exact_to_the_byte(database: Database) -> None:
    """Case, trailing spaces, accents and emoji tell two keys apart, and are kept."""
    with database.write() as connection:
        connection.execute(files.insert(), [{"key": name, "path": name} for name in NAMES])

    assert [(row["key"], row["path"]) for row in rows(database)] == [
        (name, name) for name in sorted(NAMES, key=str.encode)
    ]


def test_a_name_is_found_by_itself_alone(database: Database) -> None:
    """A look-up by a key or a path gives that one row."""
    with database.write() as connection:
        connection.execute(files.insert(), [{"key": each, "path": each} for each in NAMES])

    with database.read() as connection:
        for name in NAMES:
            for column in (files.c.key, files.c.path):
                found = connection.scalars(select(files.c.key).where(column == name)).all()
                assert found == [name]


def test_the_same_key_twice_is_refused(database: Database) -> None:
    """A broken unique key is an error of its own kind, to be caught around the block."""
    with database.write() as connection:
        connection.execute(files.insert(), {"key": "a"})

    with pytest.raises(Duplicate), database.write() as connection:
        connection.execute(files.insert(), {"key": "a"})


def test_a_long_path_is_kept_whole(database: Database) -> None:
    """A path is never cut, however long it is."""
    paths = ["p" * 255, "p" * 4096, "🦊/" * 12_000]
    assert _kept(database, "path", paths) == paths


def test_json_comes_back_as_it_was(database: Database) -> None:
    """Any JSON value survives, even text that no database takes."""
    facts = [
        {"nested": [1, 2.5, None, {"deep": True}], "text": "é🦊\n\"'\\"},
        [],
        {},
        0,
        "",
        False,
        "a NUL \x00 and half a pair \udc80",
        ["x" * 200_000],
        1e-300,
        2**70,
    ]
    assert repr(_kept(database, "facts", facts)) == repr(facts)


def test_no_json_is_null(database: Database) -> None:
    """None is kept as NULL, so that a query can ask for it."""
    with database.write() as connection:
        connection.execute(files.insert(), [{"key": "a", "facts": None}, {"key": "b", "facts": 0}])

    with database.read() as connection:
        nothing = select(files.c.key).where(files.c.facts.is_(None))
        assert connection.scalars(nothing).all() == ["a"]


def test_whole_numbers_of_64_bits_are_exact(database: Database) -> None:
    """A size or a time in nanoseconds is kept to the last digit."""
    numbers = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]
    assert _kept(database, "size", numbers) == numbers


def test_moments_are_exact(database: Database) -> None:
    """A float comes back with the very same bits."""
    moments = [0.0, time.time(), 1.1, 1e-9, 1_700_000_000.123457, 1e18]
    assert _kept(database, "seen_at", moments) == moments


def test_rows_number_themselves(database: Database) -> None:
    """A row that names no id gets the next one, and its maker is told."""
    with database.write() as connection:
        told = [connection.execute(files.insert(), {"key": key}) for key in ("a", "b")]

    made = [row["id"] for row in rows(database)]
    assert made == sorted(set(made))
    assert [tuple(each.inserted_primary_key or ()) for each in told] == [
        (number,) for number in made
    ]


def test_plain_text_takes_every_character(database: Database) -> None:
    """Characters beyond the first 65,536 fit into plain text columns too."""
    with database.write() as connection:
        connection.execute(files.insert(), {"key": "a", "title": "🦊 é ł"})

    assert rows(database)[0]["title"] == "🦊 é ł"


def _kept(db: Database, column: str, values: Sequence[object]) -> list[Any]:
    """Write each value into a row of its own, and return what is read again."""
    with db.write() as connection:
        new = [{"key": f"{number:03}", column: each} for number, each in enumerate(values)]
        connection.execute(files.insert(), new)
    return [row[column] for row in rows(db)]
