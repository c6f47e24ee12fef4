"""How much ended when, counted by the minute, alike on all databases."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import update

from grange.db import Database
from grange.runs.pace import ended_by_minute
from grange.runs.tables import items
from tests.runs.ledgers import Hand, new_items, spec_of


def _ended(database: Database, number: int, at: list[float]) -> None:
    """Let so many of a run's items have ended at these times."""
    with database.write() as connection:
        ids = sorted(
            connection.execute(items.select().where(items.c.run == number)).scalars().all()
        )
        for item, ended_at in zip(ids, at, strict=False):
            query = update(items).where(items.c.id == item)
            connection.execute(query.values(ended_at=ended_at, state="done"))


def test_items_count_in_the_minute_in_which_they_ended(
    hand: Hand, database: Database, tmp_path: Path
) -> None:
    """The last instant of a minute belongs to it, on each database; others' runs don't count."""
    one = hand.submit(spec_of(tmp_path / "one"), new_items(6)).number
    other = hand.submit(spec_of(tmp_path / "other", params={"x": 1}), new_items(2)).number
    _ended(database, one, [599.0, 600.0, 659.9, 660.0, 3000.5])
    _ended(database, other, [660.0, 661.0])

    assert {10: 2, 11: 1, 50: 1} == ended_by_minute(database, [one], since=600.0)
    assert {11: 3, 50: 1} == ended_by_minute(database, [one, other], since=660.0)
    assert {} == ended_by_minute(database, [], since=0.0)
