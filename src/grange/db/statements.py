"""The statements that each database spells in its own way."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Insert, Table


def insert_new(table: Table, *, dialect_name: str) -> Insert:
    """Return the INSERT that leaves rows alone whose unique key is there already."""
    if dialect_name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    if dialect_name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import mysql

    # INSERT IGNORE would hide every other error too; this sets a column to what it is.
    column = next(iter(table.primary_key))
    return mysql.insert(table).on_duplicate_key_update({column.key: column})


def upsert(
    table: Table, *, keys: Sequence[str], update: Sequence[str], dialect_name: str
) -> Insert:
    """Return the INSERT that sets the columns in `update` of rows that are there already."""
    if dialect_name == "mysql":
        from sqlalchemy.dialects import mysql

        into_mysql = mysql.insert(table)
        return into_mysql.on_duplicate_key_update(
            {name: into_mysql.inserted[name] for name in update}
        )
    if dialect_name == "sqlite":
        from sqlalchemy.dialects import sqlite

        into_sqlite = sqlite.insert(table)
        return into_sqlite.on_conflict_do_update(
            index_elements=keys, set_={name: into_sqlite.excluded[name] for name in update}
        )
    from sqlalchemy.dialects import postgresql

    into_postgresql = postgresql.insert(table)
    return into_postgresql.on_conflict_do_update(
        index_elements=keys, set_={name: into_postgresql.excluded[name] for name in update}
    )
