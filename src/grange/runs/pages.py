"""Runs and items a page at a time, whatever there is of them. Reads only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from sqlalchemy import Connection, Select, func, literal, or_, select

from grange.core.states import RUN_ENDS, RunState
from grange.db import Database, among
from grange.errors import RequestInvalid
from grange.runs.models import RunView
from grange.runs.queries import view_of
from grange.runs.tables import runs

_CURSOR = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,20})?)_([0-9]{1,18})")

UNFINISHED = tuple(state for state in RunState if state not in RUN_ENDS)
# Of more runs that wait nobody can begin in the time of a look.
MOST_WAITING = 100
MOST_ENDED = 1_000


@dataclass(frozen=True, kw_only=True)
class Sight:
    """Whose runs somebody sees: all, or those of `owner` and those shared with `groups`."""

    everything: bool = False
    owner: str | None = None
    groups: Sequence[str] = ()

    def sees(self, run: RunView) -> bool:
        """Whether this run is among them."""
        mine = run.owner is not None and run.owner == self.owner
        shared = run.shared_with is not None and run.shared_with in self.groups
        return self.everything or mine or shared


@dataclass(frozen=True, kw_only=True)
class RunFilter:
    """Which of the runs that somebody sees; what is empty leaves out nothing.

    `text` is a part of the name, or the beginning of the id.
    """

    states: Sequence[RunState] = ()
    pipeline: str = ""
    owner: str = ""
    group: str = ""
    text: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a list; `next` is the cursor of the part that follows, None at the end."""

    rows: list[Any]
    next: str | None


# ---- runs


def page_of_runs(
    database: Database, sight: Sight, wanted: RunFilter, *, after: str | None, limit: int
) -> Part:
    """The newest runs first, from the cursor on.

    Each way of seeing a run and each state is an index's own beginning, so a
    page costs the same however many runs there are.

    Raises:
        RequestInvalid: The cursor is none of ours.
    """
    cursor = _run_cursor(after) if after else None
    with database.read() as connection:
        keys: set[tuple[float, int]] = set()
        for view, state in product(_views(sight), wanted.states or (None,)):
            query = _narrowed(view, state, wanted, database.dialect_name)
            if cursor:
                query = query.where(
                    runs.c.created_at <= cursor[0],
                    or_(runs.c.created_at < cursor[0], runs.c.number < cursor[1]),
                )
            keys.update((row[0], row[1]) for row in connection.execute(query.limit(limit + 1)))
        chosen = sorted(keys, reverse=True)
        rows = _views_of(connection, [number for _, number in chosen[:limit]])
    more = len(chosen) > limit
    return Part(rows, f"{chosen[limit - 1][0]!r}_{chosen[limit - 1][1]}" if more else None)


def find_seen(database: Database, sight: Sight, text: str) -> RunView | None:
    """The newest run that `sight` sees of this name; any for an empty one."""
    wanted = select(runs.c.created_at, runs.c.number)
    with database.read() as connection:
        found = [
            row
            for view in _views(sight)
            for row in connection.execute(
                _newest(view, wanted.where(runs.c.name == text) if text else wanted).limit(1)
            )
        ]
        if not found:
            return None
        return _views_of(connection, [max(found)[1]])[0]


def seen_by_id(database: Database, sight: Sight, beginning: str) -> list[RunView]:
    """At most two runs that `sight` sees and whose ids begin like this."""
    top = beginning + "~"
    query = select(runs).where(runs.c.id >= beginning, runs.c.id < top).order_by(runs.c.id)
    with database.read() as connection:
        views = (view_of(row) for row in connection.execute(query.limit(1000)))
        return [view for view in views if sight.sees(view)][:2]


def count_states(database: Database, sight: Sight) -> dict[RunState, int]:
    """How many of the runs that `sight` sees are in which unfinished state."""
    found: dict[RunState, int] = dict.fromkeys(UNFINISHED, 0)
    seen: set[int] = set()
    with database.read() as connection:
        for view, state in product(_views(sight), UNFINISHED):
            query = select(runs.c.number).where(runs.c.state == str(state), *view)
            new = set(connection.execute(query).scalars()) - seen
            seen |= new
            found[state] += len(new)
    return found


def runs_now(database: Database, numbers: Sequence[int]) -> list[RunView]:
    """These runs as they are, without those that are gone."""
    with database.read() as connection:
        return _views_of(connection, numbers)


def moving_runs(database: Database, *, since: float, limit: int = 1000) -> list[RunView]:
    """Unfinished runs, and those made since then; the newest where there are very many."""
    keys = select(runs.c.created_at, runs.c.number)
    with database.read() as connection:
        found: set[int] = set()
        for state in UNFINISHED:
            query = _newest((runs.c.state == str(state),), keys).limit(limit)
            found.update(row[1] for row in connection.execute(query))
        fresh = _newest((runs.c.created_at > since,), keys).limit(limit)
        found.update(row[1] for row in connection.execute(fresh))
        return _views_of(connection, sorted(found, reverse=True)[:limit])


def waiting_runs(database: Database, *, beside: int = 0) -> list[RunView]:
    """The server's runs that nobody drives, in the order in which they are to be driven.

    The highest priority comes first, then the oldest. Among them are those whose
    driver has died, and those that it was to cancel. Of very many only the first are given,
    and `beside` as many as the caller passes over.
    """
    wanted = (RunState.WAITING, RunState.RUNNING, RunState.CANCELLING)
    query = (
        select(runs)
        .where(runs.c.state.in_([str(one) for one in wanted]), runs.c.owner.is_not(None))
        .order_by(runs.c.priority.desc(), runs.c.created_at, runs.c.number)
        .limit(MOST_WAITING + beside)
    )
    with database.read() as connection:
        views = [view_of(row) for row in connection.execute(query)]
    return [view for view in views if view.driver is None]


def ended_runs(database: Database, *, since: float, limit: int = MOST_ENDED) -> list[str]:
    """The ids of runs that have ended since then; the latest where there are very many."""
    query = select(runs.c.id).where(runs.c.finished_at >= since)
    with database.read() as connection:
        latest = query.order_by(runs.c.finished_at.desc()).limit(limit)
        return list(connection.execute(latest).scalars())


def unfinished_over(database: Database, folder: str) -> str | None:
    """The id of an unfinished run of the server whose inputs lie in this very folder."""
    going = [str(state) for state in UNFINISHED]
    query = select(runs.c.id, runs.c.plan).where(runs.c.state.in_(going), runs.c.owner.is_not(None))
    with database.read() as connection:
        for row in connection.execute(query):
            if any(path == folder for _, path in row.plan.get("roots", ())):
                return str(row.id)
    return None


def _views(sight: Sight) -> list[tuple[Any, ...]]:
    """The conditions that make a run visible: each one alone does, and has an index."""
    if sight.everything:
        return [()]
    mine = [(runs.c.owner == sight.owner,)] if sight.owner else []
    return mine + [(runs.c.shared_with == group,) for group in sight.groups]


def _newest(conditions: Sequence[Any], query: Select[Any]) -> Select[Any]:
    return query.where(*conditions).order_by(runs.c.created_at.desc(), runs.c.number.desc())


def _narrowed(
    view: Sequence[Any], state: RunState | None, wanted: RunFilter, dialect_name: str
) -> Select[Any]:
    query = _newest(view, select(runs.c.created_at, runs.c.number))
    if state is not None:
        query = query.where(runs.c.state == str(state))
    if wanted.owner:
        query = query.where(runs.c.owner == wanted.owner)
    if wanted.group:
        query = query.where(runs.c.shared_with == wanted.group)
    if wanted.pipeline:
        query = query.where(runs.c.pipeline == wanted.pipeline)
    if wanted.text:
        named = holds(func.lower(runs.c.name), wanted.text.lower(), dialect_name)
        query = query.where(or_(named, runs.c.id.startswith(wanted.text, autoescape=True)))
    return query


def _views_of(connection: Connection, numbers: Sequence[int]) -> list[RunView]:
    rows = connection.execute(select(runs).where(among(runs.c.number, numbers)))
    found = {row.number: view_of(row) for row in rows}
    return [found[number] for number in numbers if number in found]


def _run_cursor(text: str) -> tuple[float, int]:
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise bad_cursor(text)
    return float(found[1]), int(found[2])


def holds(column: Any, text: str, dialect_name: str) -> Any:  # noqa: ANN401  # columns, functions
    """Whether a column holds this text somewhere, letter for letter."""
    position = func.strpos if dialect_name == "postgresql" else func.instr
    return position(column, literal(text, column.type)) > 0


def bad_cursor(text: str) -> RequestInvalid:
    """What to say of a cursor that is none of ours."""
    return RequestInvalid(
        f"{text[:40]!r} is no place in this list.",
        hint="Give `next` of an earlier answer, or nothing.",
    )
