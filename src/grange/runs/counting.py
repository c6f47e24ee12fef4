"""The counts that a run's row keeps of its items, so that no list has to count them."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, update

from grange.runs.tables import runs

_ADD = (
    update(runs)
    .where(runs.c.number == bindparam("of_run"))
    .values(
        items_done=runs.c.items_done + bindparam("done"),
        items_failed=runs.c.items_failed + bindparam("failed"),
        items_cancelled=runs.c.items_cancelled + bindparam("cancelled"),
        items_reused=runs.c.items_reused + bindparam("reused"),
    )
)


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
    more = {"done": done, "failed": failed, "cancelled": cancelled, "reused": reused}
    if any(more.values()):
        connection.execute(_ADD, {"of_run": number, **more})
