"""Pages of runs: the same cost however many there are, and nothing that others may not see."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from grange.core.states import RunState
from grange.db import Database, open_database, prepare
from grange.errors import RequestInvalid
from grange.runs import pages
from grange.runs.models import RunView
from grange.runs.pages import RunFilter, Sight
from grange.runs.tables import runs
from tests.runs.ledgers import Hand, new_items, spec_of

MANY = 100_000
# At the server a page may take 20 ms; what the ledger takes of it, on a busy machine.
PAGE_SECONDS = 0.05
EVERYTHING = Sight(everything=True)
OWNER = Sight(owner="u7")
MEMBER = Sight(owner="u9", groups=("g3", "g4", "g5"))


def row(number: int, **changes: object) -> dict[str, object]:
    """Give the row of a run that has ended."""
    known: dict[str, object] = {
        "id": f"r{number:08}",
        "name": f"run {number}",
        "state": "done" if number % 50 else "failed",
        "pipeline": "command",
        "version": "1",
        "params": {},
        "models": {},
        "function_key": "f",
        "request_key": "q",
        "out": "file:///o",
        "inputs": {},
        "plan": {},
        "retries": 2,
        "created_at": 1000.0 + number // 3,
        "owner": f"u{number % 100}",
        "shared_with": f"g{number % 20}" if number % 3 else None,
    }
    return known | changes


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a ledger of a hundred thousand runs."""
    with closing(open_database(tmp_path_factory.mktemp("full") / "grange.db")) as database:
        prepare(database)
        with database.write() as connection:
            connection.execute(insert(runs), [row(number) for number in range(MANY)])
        yield database


def walk(database: Database, sight: Sight, wanted: RunFilter, *, limit: int) -> list[RunView]:
    """Give all runs, page by page."""
    found: list[RunView] = []
    after = None
    while True:
        part = pages.page_of_runs(database, sight, wanted, after=after, limit=limit)
        found += part.rows
        if part.next is None:
            return found
        after = part.next


@pytest.mark.parametrize("sight", [EVERYTHING, OWNER, MEMBER], ids=["admin", "owner", "member"])
@pytest.mark.parametrize(
    "wanted", [RunFilter(), RunFilter(states=[RunState.FAILED, RunState.WAITING])], ids=str
)
def test_a_page_is_an_index_away(full: Database, sight: Sight, wanted: RunFilter) -> None:
    """No statement of a page scans the runs or sorts them, and it takes milliseconds."""
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        statements.append((statement, values))

    part = pages.page_of_runs(full, sight, wanted, after=None, limit=50)
    middle = part.next
    event.listen(full._engine, "before_cursor_execute", note)
    try:
        pages.page_of_runs(full, sight, wanted, after=middle, limit=50)
    finally:
        event.remove(full._engine, "before_cursor_execute", note)

    plans = []
    with full.read() as connection:
        for statement, values in statements:
            if statement.startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                plans += [line.detail for line in plan]
    # The list of a statement's numbers is read once, and as a whole.
    plans = [line for line in plans if "LIST" not in line and "json_each" not in line]
    assert plans
    for line in plans:
        assert "INDEX" in line or "PRIMARY KEY" in line
        assert "TEMP B-TREE" not in line
        assert not line.startswith("SCAN") or "USING" in line
    took = []
    for _ in range(5):
        began = time.perf_counter()
        pages.page_of_runs(full, sight, wanted, after=middle, limit=50)
        took.append(time.perf_counter() - began)
    assert min(took) < PAGE_SECONDS


def test_the_newest_come_first_and_none_twice(full: Database) -> None:
    """Pages over runs of the same moment lose none and repeat none."""
    found = walk(full, OWNER, RunFilter(), limit=37)

    assert [number for number in range(MANY - 1, -1, -1) if number % 100 == 7] == [
        int(run.id[1:]) for run in found
    ]


def test_a_member_sees_their_own_and_those_of_their_groups(full: Database) -> None:
    """Each run is seen once, also one that is both."""
    found = [int(run.id[1:]) for run in walk(full, MEMBER, RunFilter(), limit=1000)]

    expected = [
        number
        for number in range(MANY)
        if number % 100 == 9 or (number % 3 and number % 20 in {3, 4, 5})
    ]
    assert expected[::-1] == found


def test_who_sees_nothing_is_shown_nothing(full: Database) -> None:
    """Nobody's runs, and those of no group, are seen by administrators alone."""
    assert [] == walk(full, Sight(), RunFilter(), limit=50)


@pytest.fixture
def mixed(database: Database) -> Database:
    """Give some runs on each of the three databases."""
    rows = [
        row(1, name="Spring Count", owner="u1", shared_with=None, created_at=1.0),
        row(2, name="summer", owner="u2", shared_with="g1", created_at=2.0, state="running"),
        row(3, name="50 %", owner=None, shared_with=None, created_at=2.0, pipeline="other"),
        row(4, name="autumn", owner="u1", shared_with="g1", created_at=3.0, state="waiting"),
    ]
    with database.write() as connection:
        connection.execute(insert(runs), rows)
    return database


@pytest.mark.parametrize(
    ("sight", "wanted", "expected"),
    [
        (EVERYTHING, RunFilter(), [4, 3, 2, 1]),
        (Sight(owner="u1"), RunFilter(), [4, 1]),
        (Sight(owner="u2"), RunFilter(), [2]),
        (Sight(owner="u3", groups=("g1",)), RunFilter(), [4, 2]),
        (EVERYTHING, RunFilter(states=[RunState.DONE]), [3, 1]),
        (EVERYTHING, RunFilter(states=[RunState.WAITING, RunState.RUNNING]), [4, 2]),
        (EVERYTHING, RunFilter(pipeline="other"), [3]),
        (EVERYTHING, RunFilter(owner="u1", group="g1"), [4]),
        (Sight(owner="u2"), RunFilter(owner="u1"), []),
        (EVERYTHING, RunFilter(text="RING c"), [1]),
        (EVERYTHING, RunFilter(text="%"), [3]),
        (EVERYTHING, RunFilter(text="r00000002"), [2]),
        (EVERYTHING, RunFilter(text="'; drop table runs; --"), []),
    ],
    ids=str,
)
def test_filters_narrow_what_is_seen(
    mixed: Database, sight: Sight, wanted: RunFilter, expected: list[int]
) -> None:
    """All databases agree on what each filter lets through, whatever the text is."""
    found = walk(mixed, sight, wanted, limit=1)

    assert expected == [run.number for run in found]


@pytest.mark.parametrize("cursor", ["x", "1.0", "1.0_x", "_", "nan-nan", "1_2_3", "é_1"])
def test_a_foreign_cursor_is_refused(mixed: Database, cursor: str) -> None:
    """What is no cursor of ours is the caller's mistake, never a fault."""
    with pytest.raises(RequestInvalid, match="no place"):
        pages.page_of_runs(mixed, EVERYTHING, RunFilter(), after=cursor, limit=5)


def test_a_run_is_found_by_what_somebody_sees(mixed: Database) -> None:
    """Names and beginnings of ids mean only what is seen."""
    summer = pages.find_seen(mixed, EVERYTHING, "summer")
    assert summer is not None
    assert 2 == summer.number
    assert pages.find_seen(mixed, Sight(owner="u1"), "summer") is None
    newest = pages.find_seen(mixed, Sight(owner="u2"), "")
    assert newest is not None
    assert 2 == newest.number
    assert 2 == len(pages.seen_by_id(mixed, EVERYTHING, "r0000"))
    assert [2] == [run.number for run in pages.seen_by_id(mixed, Sight(owner="u2"), "r0000")]


def test_what_waits_is_driven_by_priority_then_age(database: Database) -> None:
    """Embedded, paused and driven runs are not for the server to take."""
    rows = [
        row(1, state="waiting", priority=0, created_at=1.0),
        row(2, state="waiting", priority=5, created_at=9.0),
        row(3, state="waiting", priority=-5, created_at=0.5),
        row(4, state="waiting", priority=0, created_at=0.5),
        row(5, state="waiting", priority=9, owner=None),
        row(6, state="paused", priority=9),
        row(7, state="done", priority=9),
        row(8, state="cancelling", priority=-9),
    ]
    with database.write() as connection:
        connection.execute(insert(runs), rows)

    assert [2, 4, 1, 3, 8] == [run.number for run in pages.waiting_runs(database)]


def test_runs_that_are_passed_over_hide_no_others(database: Database) -> None:
    """However many can't go on just now, whoever looks finds those that can."""
    stuck = [row(number, state="waiting", created_at=1.0) for number in range(1, 151)]
    with database.write() as connection:
        connection.execute(insert(runs), [*stuck, row(151, state="waiting", created_at=2.0)])

    assert 151 in [run.number for run in pages.waiting_runs(database, beside=len(stuck))]
    assert pages.MOST_WAITING == len(pages.waiting_runs(database))


def test_unfinished_runs_are_counted_once(mixed: Database) -> None:
    """A run that somebody sees in two ways counts once."""
    counts = pages.count_states(mixed, Sight(owner="u1", groups=("g1",)))

    assert {RunState.WAITING: 1, RunState.RUNNING: 1} == {
        state: count for state, count in counts.items() if count
    }


def test_the_span_of_a_run_is_kept(hand: Hand, tmp_path: Path) -> None:
    """A run knows between which ids its items lie, as soon as it is whole."""
    first = hand.submit(spec_of(tmp_path / "a"), new_items(5))
    second = hand.submit(spec_of(tmp_path / "b"), new_items(3))
    with hand.database.read() as connection:
        query = text("select items_first, items_last from runs where number = :number")
        spans = [
            tuple(connection.execute(query, {"number": one.number}).one())
            for one in (first, second)
        ]

    assert [4, 2] == [last - begin for begin, last in spans]
    assert spans[0][1] < spans[1][0]
