"""Tables of the tests' own, and how to look into them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    select,
    update,
)

from grange.db import BigId, Database, JSONText, KeyText, PathText, Seconds
from grange.db.base import MYSQL_TABLE, NAMING

trial = MetaData(naming_convention=NAMING)

counters = Table(
    "counters",
    trial,
    Column("name", String(20), primary_key=True),
    Column("value", Integer, nullable=False),
    **MYSQL_TABLE,
)

files = Table(
    "files",
    trial,
    Column("id", BigId, primary_key=True),
    Column("key", KeyText(255), nullable=False),
    Column("path", PathText, nullable=True),
    Column("facts", JSONText, nullable=True),
    Column("seen_at", Seconds, nullable=True),
    Column("size", BigId, nullable=True),
    Column("title", String(20), nullable=True),
    Column("counter", String(20), ForeignKey("counters.name"), nullable=True),
    UniqueConstraint("key"),
    **MYSQL_TABLE,
)


def make_tables(db: Database) -> None:
    """Make the tables, with two counters at 0."""
    with db.write() as connection:
        trial.create_all(connection)
        connection.execute(counters.insert(), [{"name": n, "value": 0} for n in ("x", "y")])


def add(db: Database, connection: Connection, *, name: str = "x") -> None:
    """Read a counter, and write it one higher."""
    seen = connection.execute(
        db.lock(select(counters.c.value).where(counters.c.name == name))
    ).scalar_one()
    connection.execute(update(counters).where(counters.c.name == name).values(value=seen + 1))


def value(db: Database, name: str = "x") -> int:
    """Return what a counter stands at."""
    with db.read() as connection:
        query = select(counters.c.value).where(counters.c.name == name)
        return int(connection.execute(query).scalar_one())


def rows(db: Database) -> list[dict[str, Any]]:
    """Return all files in the order of their keys."""
    with db.read() as connection:
        found = connection.execute(files.select().order_by(files.c.key)).mappings()
        return [dict(row) for row in found]
