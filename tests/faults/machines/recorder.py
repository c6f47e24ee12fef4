"""What the ledger has been told, written down by the database itself in the order in which it was.

The triggers stand beside Grange's own tables: what they note is committed, or undone, with
the change that it is about. So the history needs no word of the program that is tested.
When that was is counted from the start of this machine: the database's clock may be a wrong one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy

from grange.core.tasks import attempt_token
from tests.engines.contract.history import FINAL, Deed, Event

_TABLES = """
CREATE TABLE noted (
  number bigserial PRIMARY KEY,
  at double precision NOT NULL DEFAULT
    {boot} + split_part(pg_read_file('/proc/uptime'), ' ', 1)::double precision,
  deal bigint NOT NULL DEFAULT txid_current(),
  kind text NOT NULL, run bigint, id bigint NOT NULL, epoch integer,
  before text, after text, token text);
CREATE FUNCTION note_task() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted (kind, run, id, epoch, before, after) VALUES ('task', NEW.run, NEW.id,
    NEW.epoch, CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state);
  RETURN NULL; END $$;
CREATE FUNCTION note_item() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted (kind, run, id, before, after, token) VALUES ('item', NEW.run, NEW.id,
    CASE TG_OP WHEN 'UPDATE' THEN OLD.state END, NEW.state,
    CASE TG_OP WHEN 'UPDATE' THEN OLD.token END);
  RETURN NULL; END $$;
CREATE FUNCTION note_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted (kind, id, epoch, after) VALUES ('attempt', NEW.task, NEW.epoch, NEW."end");
  RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OF state, epoch ON tasks
  FOR EACH ROW EXECUTE FUNCTION note_task();
CREATE TRIGGER note AFTER INSERT OR UPDATE OF state ON items
  FOR EACH ROW EXECUTE FUNCTION note_item();
CREATE TRIGGER note AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION note_attempt();
"""

# Within one transaction the order of statements says nothing: this is how it is meant.
_ORDER = (Deed.SUBMITTED, Deed.CLAIMED, Deed.TAKEN, Deed.PUBLISHED, Deed.ENDED)


@dataclass(frozen=True, slots=True)
class Note:
    """One change of a row of the ledger: from which state to which."""

    at: float
    deal: int  # the transaction
    kind: str  # task, attempt or item
    run: int | None
    id: int
    epoch: int | None
    before: str | None
    after: str
    token: str | None  # of an item: which attempt's outputs were on their way to their names


class Recorder:
    """Notes of one database."""

    def __init__(self, url: str) -> None:
        """Begin to note; the ledger's tables are there."""
        self._engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
        with self._engine.begin() as connection:
            boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
            connection.exec_driver_sql(_TABLES.replace("{boot}", f"{boot:.3f}"))

    def ask(self, query: str, **values: object) -> Sequence[sqlalchemy.Row[Any]]:
        """Ask the ledger itself."""
        with contextlib.closing(self._engine.connect()) as connection:
            return connection.execute(sqlalchemy.text(query), values).all()

    def notes(self) -> list[Note]:
        """All that was noted."""
        rows = self.ask(
            "SELECT at, deal, kind, run, id, epoch, before, after, token FROM noted ORDER BY number"
        )
        return [Note(**row._mapping) for row in rows]


def events(notes: Sequence[Note]) -> list[Event]:
    """The history of tasks, as its checker reads it."""
    found: list[tuple[int, int, int, Event]] = []
    first: dict[tuple[int, int], int] = {}
    for place, note in enumerate(notes):
        for event in _events(note):
            # What one transaction says of a task counts from its first word.
            begin = first.setdefault((event.task, note.deal), place)
            found.append((begin, _ORDER.index(event.deed), place, event))
    return [event for *_, event in sorted(found, key=lambda one: one[:3])]


def _events(note: Note) -> Iterator[Event]:
    match note.kind:
        case "task":
            epoch = note.epoch or 0
            if note.before is None:
                yield Event(Deed.SUBMITTED, note.id)
            if note.after == "running":
                yield Event(Deed.CLAIMED, note.id, epoch)
            if note.after in FINAL:
                yield Event(Deed.ENDED, note.id, 0, note.after)
        case "attempt":
            yield Event(Deed.TAKEN, note.id, note.epoch or 0, note.after)
        case "item" if note.token and note.before == "publishing" and note.after == "done":
            task, epoch = attempt_of(note.token)
            yield Event(Deed.PUBLISHED, task, epoch)


def attempt_of(token: str) -> tuple[int, int]:
    """The task and the epoch whose outputs are staged under this token."""
    _, task, epoch = attempt_token(token).rsplit("-", 2)
    return int(task), int(epoch)


def item_faults(notes: Sequence[Note], *, whole: bool = True) -> Iterator[str]:
    """Sentences about items that have no end, or more than one, or that have left theirs."""
    of_items = sorted((note for note in notes if note.kind == "item"), key=lambda note: note.id)
    for number, changes in groupby(of_items, key=lambda note: note.id):
        states = [change.after for change in changes]
        ends = [state for state in states if state in FINAL]
        if whole and not ends:
            yield f"Item {number}: it is lost, for it has no end: {states}."
        elif len(ends) > 1 or (ends and states[-1] not in FINAL):
            yield f"Item {number}: it has not one end: {states}."
