"""Whose place the results of a run lie in: one of the run's own, or one that a person has named."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, or_, select

from grange.core.states import RunState
from grange.db import Database
from grange.runs.tables import runs
from grange.storage.s3urls import is_s3, parse_s3


def is_named(id: str, out: str) -> bool:  # noqa: A002  # the run's
    """Whether a run of a server puts its results where a person said; others may use that too."""
    return is_s3(out) and not out.endswith(f"/{id}")


def is_taken(database: Database, out: str, owner: str) -> bool:
    """Whether another one's run has results in this place of a bucket, above it or below it."""
    query = select(runs.c.number).where(_meets(out), runs.c.owner.is_distinct_from(owner)).limit(1)
    with database.read() as connection:
        return connection.execute(query).first() is not None


def is_lost(connection: Connection, number: int) -> bool:
    """Whether another one's run has come first to the place that this one's owner has named.

    Of several that are submitted in one instant `is_taken` sees none. Here the first one
    wins: each looks once it is written down itself, and waits for what others are about to say.
    """
    mine = connection.execute(
        select(runs.c.id, runs.c.out, runs.c.owner, runs.c.items_total).where(
            runs.c.number == number
        )
    ).one()
    if mine.items_total or mine.owner is None or not is_named(mine.id, mine.out):
        return False  # It has the place since it was sealed first; or nobody has named any.
    others = select(runs.c.number, runs.c.state).where(
        _meets(mine.out), runs.c.owner.is_distinct_from(mine.owner)
    )
    if connection.execute(others.where(runs.c.number < number).limit(1)).first() is not None:
        return True
    # Locked in the order of their numbers, as each has its own: nobody waits in a circle.
    later = others.where(runs.c.number > number).order_by(runs.c.number).with_for_update()
    return any(row.state != RunState.SUBMITTING for row in connection.execute(later))


def _meets(out: str) -> ColumnElement[bool]:
    """What the place of a run is that lies in this one, or around it."""
    place = parse_s3(out)
    parts = place.prefix.rstrip("/").split("/") if place.prefix else []
    above = [f"s3://{'/'.join([place.bucket, *parts[:count]])}" for count in range(len(parts) + 1)]
    return or_(runs.c.out.in_(above), runs.c.out.startswith(f"{place.url}/", autoescape=True))
