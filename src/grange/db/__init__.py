"""The database: common ground of all tables, and the transactions that move them."""

from grange.db.base import BigId, JSONText, KeyText, PathText, Seconds, metadata, where_set
from grange.db.bulk import Chosen, among, execute_many
from grange.db.database import Database, open_database
from grange.db.faults import Duplicate
from grange.db.schema import prepare

__all__ = [
    "BigId",
    "Chosen",
    "Database",
    "Duplicate",
    "JSONText",
    "KeyText",
    "PathText",
    "Seconds",
    "among",
    "execute_many",
    "metadata",
    "open_database",
    "prepare",
    "where_set",
]
