"""The tables' common ground: one metadata, and types that behave alike on all databases.

Migrations use these types too, so what a type is on a database never changes
after a release; a new need gets a new type.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    VARBINARY,
    BigInteger,
    Dialect,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.types import TypeEngine

# Every constraint has a name that follows from what it constrains, so that a migration can drop it.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# What each table is created with on MySQL and MariaDB, whatever the server's defaults are.
MYSQL_TABLE: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}

metadata = MetaData(naming_convention=NAMING)


class JSONText(TypeDecorator[object]):
    """A JSON value kept as text; None is NULL.

    What is written is ASCII, so a NUL or half a surrogate pair inside a value
    comes back as it was from every database.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Take the type with room for 16 MiB where plain TEXT ends at 64 KiB."""
        if dialect.name != "mysql":
            return dialect.type_descriptor(Text())
        from sqlalchemy.dialects.mysql import MEDIUMTEXT

        return dialect.type_descriptor(MEDIUMTEXT())

    def process_bind_param(self, value: object, dialect: Dialect) -> str | None:
        """Encode what is not None."""
        return None if value is None else json.dumps(value, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> object:
        """Decode what is not NULL."""
        return None if value is None else json.loads(value)


class _UTF8Bytes(TypeDecorator[str]):
    """Text kept as its bytes: MySQL and MariaDB share no collation that is exact about text."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, length_bytes: int | None = None) -> None:
        super().__init__()
        self.length_bytes = length_bytes

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Take the type that can be indexed whenever a bound is known."""
        if self.length_bytes is None:
            return dialect.type_descriptor(LargeBinary())
        return dialect.type_descriptor(VARBINARY(self.length_bytes))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Encode what is not None."""
        return None if value is None else value.encode()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:
        """Decode what is not NULL."""
        return None if value is None else value.decode()


def KeyText(length_bytes: int) -> TypeEngine[str]:  # noqa: N802 (it stands where types stand)
    """Return the type of a bounded text that is indexed: equal only if each byte is.

    Case and trailing spaces count, and the order is that of the bytes.
    """
    return _exact(String(length_bytes), _UTF8Bytes(length_bytes))


def _exact(plain: String, as_bytes: _UTF8Bytes) -> TypeEngine[str]:
    in_byte_order = type(plain)(plain.length, collation="C")
    return plain.with_variant(in_byte_order, "postgresql").with_variant(as_bytes, "mysql")


# A path or an address: as exact as a key, up to 64 KiB, and in no index.
PathText = _exact(Text(), _UTF8Bytes())

# A number that names a row; on SQLite only an INTEGER counts up by itself.
BigId = BigInteger().with_variant(Integer(), "sqlite")

# A moment as seconds since 1970 UTC, or a duration.
Seconds: Double[float] = Double()


def where_set(column: str) -> dict[str, Any]:
    """Return what makes a SQLite index leave out the rows that have nothing in the column.

    Most rows gain it late or never, so they cost the index nothing until then.
    Servers take a whole index: naming one here would load its dialect at every start.
    """
    return {"sqlite_where": text(f"{column} IS NOT NULL")}
