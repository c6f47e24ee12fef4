"""Whose place the results of a run lie in: one of the run's own, or one that a person has named."""

from __future__ import annotations

from sqlalchemy import or_, select

from grange.db import Database
from grange.runs.tables import runs
from grange.storage.s3urls import is_s3, parse_s3


def is_named(id: str, out: str) -> bool:  # noqa: A002  # the run's
    """Whether a run of a server puts its results where a person said; others may use that too."""
    return is_s3(out) and not out.endswith(f"/{id}")


def is_taken(database: Database, out: str, owner: str) -> bool:
    """Whether another one's run has results in this place of a bucket, above it or below it."""
    place = parse_s3(out)
    parts = place.prefix.rstrip("/").split("/") if place.prefix else []
    above = [f"s3://{'/'.join([place.bucket, *parts[:count]])}" for count in range(len(parts) + 1)]
    met = or_(runs.c.out.in_(above), runs.c.out.startswith(f"{place.url}/", autoescape=True))
    query = select(runs.c.number).where(met, runs.c.owner.is_distinct_from(owner)).limit(1)
    with database.read() as connection:
        return connection.execute(query).first() is not None
