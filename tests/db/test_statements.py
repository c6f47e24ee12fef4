"""The statements that each database spells in its own way do the same thing."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from grange import errors
from grange.db import Database
from tests.db.tables import counters, files, rows


def test_insert_new_twice_is_insert_new_once(database: Database) -> None:
    """Rows that are there stay as they are; the others are added."""
    with database.write() as connection:
        database.insert_new(connection, files, [{"key": "a", "size": 1}, {"key": "b", "size": 1}])
    with database.write() as connection:
        database.insert_new(connection, files, [{"key": "b", "size": 2}, {"key": "c", "size": 2}])

    assert [(row["key"], row["size"]) for row in rows(database)] == [("a", 1), ("b", 1), ("c", 2)]


def test_insert_new_takes_the_first_of_two_equals(database: Database) -> None:
    """The same key twice in one batch is one row."""
    with database.write() as connection:
        database.insert_new(connection, files, [{"key": "a", "size": 1}, {"key": "a", "size": 2}])

    assert [row["size"] for row in rows(database)] == [1]


@pytest.mark.parametrize(
    "row",
    [{"key": None, "counter": "x"}, {"key": "a", "counter": "of nobody"}],
    ids=["no key", "no such counter"],
)
def test_insert_new_hides_no_other_error(database: Database, row: dict[str, object]) -> None:
    """Only a row that is there already is passed over, not one that is wrong."""
    with pytest.raises(errors.DatabaseError), database.write() as connection:
        database.insert_new(connection, files, [row])

    assert rows(database) == []


def test_insert_new_cuts_nothing_to_fit(database: Database) -> None:
    """Text that is too long is refused, or kept whole where the database has no bound."""
    try:
        with database.write() as connection:
            database.insert_new(connection, files, [{"key": "a", "title": "t" * 21}])
    except errors.DatabaseError:
        assert rows(database) == []
    else:
        assert rows(database)[0]["title"] == "t" * 21


def test_upsert_changes_what_is_there(database: Database) -> None:
    """Of a row that is there, the named columns take the new value and no other does."""
    with database.write() as connection:
        connection.execute(files.insert(), {"key": "a", "size": 1, "title": "old"})
    with database.write() as connection:
        database.upsert(
            connection,
            files,
            [{"key": "a", "size": 2, "title": "new"}, {"key": "b", "size": 2, "title": "new"}],
            keys=["key"],
            update=["size"],
        )

    assert [(row["key"], row["size"], row["title"]) for row in rows(database)] == [
        ("a", 2, "old"),
        ("b", 2, "new"),
    ]


def test_nothing_to_write_is_no_error(database: Database) -> None:
    """An empty batch does nothing."""
    with database.write() as connection:
        database.insert_new(connection, files, [])
        database.upsert(connection, files, [], keys=["key"], update=["size"])

    assert rows(database) == []


def test_a_big_batch_goes_in_whole(database: Database) -> None:
    """Tens of thousands of rows in one call are no matter."""
    many = [{"key": f"{n:06}", "path": f"photos/{n}.jpg", "size": n} for n in range(20_000)]
    with database.write() as connection:
        database.insert_new(connection, files, many)
        database.upsert(
            connection,
            files,
            [{**row, "size": 7} for row in many[:5_000]],
            keys=["key"],
            update=["size"],
        )

    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(files)) == 20_000
        sevens = select(func.count()).where(files.c.size == 7)
        assert connection.scalar(sevens) == 5_000


def test_foreign_keys_hold(database: Database) -> None:
    """A row can't point to nothing, and what is pointed to can't go."""
    with pytest.raises(errors.DatabaseError), database.write() as connection:
        connection.execute(files.insert(), {"key": "a", "counter": "of nobody"})

    with database.write() as connection:
        connection.execute(files.insert(), {"key": "a", "counter": "x"})
    with pytest.raises(errors.DatabaseError), database.write() as connection:
        connection.execute(counters.delete())
