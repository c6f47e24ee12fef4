"""The counts that a run's row keeps of its items, so that no list has to count them."""

from __future__ import annotations

from sqlalchemy import Connection, update

from grange.runs.tables import runs


def count(
    connection: Connection,
    number: int,
    *,
    done: int = 0,
    failed: int = 0,
    cancelled: int = 0,
    reused: int = 0,
) -> None:
    """Add to a run's counts, in the transaction that moves the items."""
    changes = {
        "items_done": done,
        "items_failed": failed,
        "items_cancelled": cancelled,
        "items_reused": reused,
    }
    values = {name: runs.c[name] + change for name, change in changes.items() if change}
    if values:
        connection.execute(update(runs).where(runs.c.number == number).values(values))
