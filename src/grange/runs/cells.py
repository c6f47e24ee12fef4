"""All items of a run at a glance: a letter for each, or for some neighbours together."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from sqlalchemy import Connection, case, func, select

from grange.core.states import ItemState
from grange.db import Database
from grange.runs.models import Counts, RunView
from grange.runs.tables import items
from grange.runs.walking import Span

MOST_CELLS = 2000
# Runs whose glance is remembered.
REMEMBERED = 64
# While a run moves, a glance serves for so many times what it cost.
PATIENCE = 10
SHORTEST_SECONDS = 1.0

# What matters least comes first; of several items in a cell, the last of these shows.
_ORDER = {
    ItemState.DONE: "d",
    ItemState.CANCELLED: "c",
    ItemState.WAITING: "w",
    ItemState.PUBLISHING: "r",
    ItemState.RUNNING: "r",
    ItemState.FAILED: "f",
}
_LETTERS = list(_ORDER.values())
_RANKS = {str(state): rank for rank, state in enumerate(_ORDER)}


@dataclass(frozen=True)
class Glance:
    """Each letter of `states` stands for `per_cell` items, the first of the id beside it."""

    total: int
    per_cell: int
    first_ids: list[int]
    states: str


@dataclass
class _Known:
    glance: Glance
    counts: Counts
    state: str
    until: float
    lock: threading.Lock = field(default_factory=threading.Lock)


class Glances:
    """Remembers glances, so that many who look cost no more than one."""

    def __init__(self, database: Database) -> None:
        """Look into this ledger."""
        self._database = database
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def at(self, run: RunView) -> Glance:
        """The run's items; as fresh as can be had without looking again and again."""
        with self._lock:
            known = self._known.get(run.number)
            if known is None:
                known = _Known(Glance(0, 1, [], ""), Counts(), "", 0.0)
                self._known[run.number] = known
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(run.number)
        with known.lock:
            if not _serves(known, run):
                began = time.monotonic()
                known.glance = _look(self._database, run)
                ended = time.monotonic()
                known.until = ended + max(SHORTEST_SECONDS, PATIENCE * (ended - began))
                known.counts, known.state = run.counts, run.state
            return known.glance


def _serves(known: _Known, run: RunView) -> bool:
    if time.monotonic() < known.until and known.state == run.state:
        return True
    same = (known.counts, known.state) == (run.counts, str(run.state))
    return same and run.state.is_finished()


def _look(database: Database, run: RunView) -> Glance:
    with database.read() as connection:
        span = Span.of(connection, run.number)
        total = run.counts.total
        if not total or span.last < span.first:
            return Glance(0, 1, [], "")
        per_cell = -(-total // MOST_CELLS)
        whole = span.last - span.first + 1 == total
        rows = _cells(connection, run.number, span, per_cell, whole=whole)
    letters = "".join(_LETTERS[rank] for rank, _ in rows)
    return Glance(total, per_cell, [first for _, first in rows], letters)


def _cells(
    connection: Connection, number: int, span: Span, per_cell: int, *, whole: bool
) -> list[tuple[int, int]]:
    """The rank that shows and the first id of each cell.

    Ids without gaps tell their cell themselves; where another run's items lie
    between them, they are counted, which takes twice as long.
    """
    rank = case(_RANKS, value=items.c.state, else_=0)
    place = items.c.id - span.first if whole else func.row_number().over(order_by=items.c.id) - 1
    each = (
        select(items.c.id, rank.label("rank"), (place / per_cell).label("cell"))
        .where(items.c.id.between(span.first, span.last), items.c.run + 0 == number)
        .subquery()
    )
    # Whole numbers, whatever the database's own division is.
    cell = func.floor(each.c.cell)
    query = (
        select(func.max(each.c.rank), func.min(each.c.id))
        .group_by(cell)
        .order_by(func.min(each.c.id))
    )
    return [(row[0], row[1]) for row in connection.execute(query)]
