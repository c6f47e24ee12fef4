"""How much was done when: items that ended, by the minute. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Integer, cast, func, select

from grange.db import Database, among
from grange.runs.tables import items

MINUTE_SECONDS = 60


def ended_by_minute(database: Database, numbers: Sequence[int], *, since: float) -> dict[int, int]:
    """How many items of these runs ended in which minute, counted from the epoch's.

    An index alone answers it.
    """
    minutes = items.c.ended_at / MINUTE_SECONDS
    # SQLite may have been built without `floor`; its cast cuts off, where others round.
    whole = cast(minutes, Integer) if database.dialect_name == "sqlite" else func.floor(minutes)
    query = (
        select(whole.label("minute"), func.count().label("ended"))
        .where(among(items.c.run, numbers), items.c.ended_at >= since)
        .group_by(whole)
    )
    with database.read() as connection:
        return {int(row.minute): row.ended for row in connection.execute(query)}
