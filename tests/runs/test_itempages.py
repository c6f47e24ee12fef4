"""Pages of items and outputs, and all items at a glance, of runs of any size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from grange.core.states import ItemState
from grange.db import Database, open_database, prepare
from grange.errors import ItemNotFound, RequestInvalid
from grange.runs import itempages
from grange.runs.cells import MOST_CELLS, Glances
from grange.runs.itempages import ItemFilter
from grange.runs.models import ItemView, NewItem, RunView
from grange.runs.queries import find_run
from grange.runs.tables import items, runs
from tests.runs.ledgers import Hand, done, failed, new_items, spec_of
from tests.runs.test_pages import row

MANY = 300_000
FIRST = 1_000


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Give a run of very many items, between two other ones."""
    with closing(open_database(tmp_path_factory.mktemp("big") / "grange.db")) as database:
        prepare(database)
        with database.write() as connection:
            ends = {"items_first": FIRST, "items_last": FIRST + MANY - 1, "items_total": MANY}
            ends |= {"items_done": MANY - 5, "items_failed": 3}
            connection.execute(insert(runs), [row(1), row(2), row(3)])
            connection.execute(update(runs).where(runs.c.number == 2).values(**ends))
            for begin in range(0, MANY, 50_000):
                batch = [_item(2, number) for number in range(begin, begin + 50_000)]
                connection.execute(insert(items), batch)
            connection.execute(insert(items), [_item(1, number - FIRST) for number in range(50)])
        yield database


def _item(run: int, number: int) -> dict[str, object]:
    state, code = "done", None
    if number in {7, 150_000, MANY - 1}:
        state, code = "failed", "a.b" if number == 7 else "command.failed"
    elif number in {8, 200_000}:
        state = "waiting"
    return {
        "id": FIRST + number,
        "run": run,
        "path": f"day {number // 1000}/{number:06}.txt",
        "uri": f"file:///in/{number}",
        "uri_key": f"file:///in/{number}",
        "size": 1,
        "mtime_ns": 1,
        "weight": 1,
        "state": state,
        "failure_code": code,
        "ended_at": None if state == "waiting" else 1000.0 + number,
    }


def walk(database: Database, run: RunView, wanted: ItemFilter, *, limit: int) -> list[ItemView]:
    """Give all items, page by page."""
    found: list[ItemView] = []
    after = None
    while True:
        part = itempages.page_of_items(database, run, wanted, after=after, limit=limit)
        assert limit >= len(part.rows)
        found += part.rows
        if part.next is None:
            return found
        after = part.next


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ItemFilter(state=ItemState.FAILED), [7, 150_000, MANY - 1]),
        (ItemFilter(code="command.failed"), [150_000, MANY - 1]),
        (ItemFilter(state=ItemState.WAITING), [8, 200_000]),
        (ItemFilter(state=ItemState.CANCELLED), []),
        (ItemFilter(text="/250000.t"), [250_000]),
        (ItemFilter(state=ItemState.FAILED, text="day 150"), [150_000]),
    ],
    ids=str,
)
def test_rare_items_are_found(big: Database, wanted: ItemFilter, expected: list[int]) -> None:
    """However few they are among however many, and in their order."""
    found = walk(big, find_run(big, "r00000002"), wanted, limit=2)

    assert [FIRST + number for number in expected] == [item.id for item in found]


@pytest.mark.parametrize(
    "wanted",
    [ItemFilter(), ItemFilter(state=ItemState.DONE), ItemFilter(state=ItemState.FAILED)],
    ids=str,
)
def test_a_page_of_a_large_run_is_quick(big: Database, wanted: ItemFilter) -> None:
    """A first page and one in the middle look at no more items than they show."""
    run = find_run(big, "r00000002")
    for after in (None, str(FIRST + MANY // 2)):
        took = []
        for _ in range(3):
            began = time.perf_counter()
            itempages.page_of_items(big, run, wanted, after=after, limit=50)
            took.append(time.perf_counter() - began)
        assert min(took) < 0.05


def test_a_search_that_finds_nothing_pauses(big: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that has looked for long enough ends, and says where to go on."""
    monkeypatch.setattr(itempages, "PATIENCE_SECONDS", 0.0)

    run = find_run(big, "r00000002")
    part = itempages.page_of_items(big, run, ItemFilter(text="nowhere"), after=None, limit=5)

    assert ([], str(FIRST + itempages.WINDOW - 1)) == (part.rows, part.next)


def test_a_large_run_is_seen_at_a_glance(big: Database) -> None:
    """At most two thousand letters say how all items stand, a failed one always shows."""
    glance = Glances(big).at(find_run(big, "r00000002"))

    assert MANY == glance.total
    assert MANY // MOST_CELLS == glance.per_cell
    assert MOST_CELLS == len(glance.states) == len(glance.first_ids)
    letters = {FIRST + number: glance.states[number // 150] for number in (7, 150_000, 200_000)}
    assert {FIRST + 7: "f", FIRST + 150_000: "f", FIRST + 200_000: "w"} == letters
    assert ("f", MOST_CELLS - 4) == (glance.states[-1], glance.states.count("d"))
    assert FIRST + 150 == glance.first_ids[1]


def test_a_glance_is_taken_once_for_many(big: Database) -> None:
    """Whoever looks a moment later gets the very same."""
    glances, run = Glances(big), find_run(big, "r00000002")

    assert glances.at(run) is glances.at(find_run(big, "r00000002"))


def test_items_between_those_of_others_fill_cells_too(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that were submitted at once keep their items apart, on every database."""
    monkeypatch.setattr("grange.runs.cells.MOST_CELLS", 3)
    with database.write() as connection:
        span = {"items_first": 1, "items_last": 12, "items_total": 6}
        connection.execute(insert(runs), [row(1) | span, row(2) | span])
        for number in range(12):
            state = "failed" if number == 4 else "running" if number == 8 else "done"
            one = _item(1 + number % 2, number) | {"id": number + 1, "state": state}
            connection.execute(insert(items), [one])
    run = find_run(database, "r00000001")

    glance = Glances(database).at(run)

    assert (2, [1, 5, 9], "dfr") == (glance.per_cell, glance.first_ids, glance.states)
    assert [1, 3, 5, 7, 9, 11] == [item.id for item in walk(database, run, ItemFilter(), limit=4)]


def test_cells_of_a_whole_run_are_the_same_on_every_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole numbers are divided as whole numbers."""
    monkeypatch.setattr("grange.runs.cells.MOST_CELLS", 4)
    with database.write() as connection:
        span = {"items_first": 1, "items_last": 10, "items_total": 10}
        connection.execute(insert(runs), [row(1) | span])
        for number in range(10):
            state = "waiting" if number == 9 else "done"
            one = _item(1, number) | {"id": number + 1, "state": state}
            connection.execute(insert(items), [one])

    glance = Glances(database).at(find_run(database, "r00000001"))

    assert (3, [1, 4, 7, 10], "dddw") == (glance.per_cell, glance.first_ids, glance.states)


def test_an_item_belongs_to_its_run(hand: Hand, tmp_path: Path) -> None:
    """Another run's item is not there, whatever its id is."""
    opened = hand.submit(spec_of(tmp_path / "a"), new_items(2))
    other = hand.submit(spec_of(tmp_path / "b"), new_items(2))
    mine, theirs = (find_run(hand.database, one.id) for one in (opened, other))
    first = walk(hand.database, mine, ItemFilter(), limit=5)[0]

    assert first == itempages.item_by_id(hand.database, mine, first.id)
    with pytest.raises(ItemNotFound):
        itempages.item_by_id(hand.database, theirs, first.id)


@pytest.mark.parametrize("cursor", ["x", "-1", "1" * 40, "²"])
def test_a_foreign_cursor_of_items_is_refused(hand: Hand, tmp_path: Path, cursor: str) -> None:
    """What is no cursor of ours is the caller's mistake, never a fault."""
    opened = hand.submit(spec_of(tmp_path / "a"), new_items(1))
    run = find_run(hand.database, opened.id)

    for page in (
        lambda: itempages.page_of_items(hand.database, run, ItemFilter(), after=cursor, limit=5),
        lambda: itempages.page_of_outputs(hand.database, run, after=cursor, limit=5),
    ):
        with pytest.raises(RequestInvalid, match="no place"):
            page()


def test_outputs_are_listed_and_known_by_their_digest(hand: Hand, tmp_path: Path) -> None:
    """Each published file once, page by page, and its sha256 is found by its path."""
    roots = [("", "/in/d")]
    opened = hand.submit(spec_of(tmp_path / "a", roots=roots), _files("x/1.txt", "run.json"))
    hand.take(opened.number)
    for task in hand.claim():
        staged = hand.stage(task, {"one": b"1", "two": b"2"})
        hand.publish(hand.conclude(done(task, outputs=staged)))
    run = find_run(hand.database, opened.id)

    found, after = [], None
    while True:
        part = itempages.page_of_outputs(hand.database, run, after=after, limit=1)
        found += [(one.item_path, one.path) for one in part.rows]
        if part.next is None:
            break
        after = part.next

    expected = [(item, file) for item in ("x/1.txt", "run.json") for file in ("one", "two")]
    assert expected == found
    sha = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    for path in ("x/1.txt/one", "run.json.item/one"):
        assert sha == itempages.digest_of(hand.database, run, path)
    for path in ("run.json", "x/1.txt/three", "x/2.txt/one", "../x", "x"):
        assert itempages.digest_of(hand.database, run, path) is None


def test_failed_items_are_paged_over_all_reasons(hand: Hand, tmp_path: Path) -> None:
    """Those of several reasons come in the order of submission, on every database."""
    opened = hand.submit(spec_of(tmp_path / "a", retries=0), new_items(6))
    hand.take(opened.number)
    for number, task in enumerate(hand.claim()):
        outcome = failed(task)
        if number % 2:
            assert outcome.failure is not None
            object.__setattr__(outcome.failure, "code", "z.other")
        hand.conclude(outcome)
    run = find_run(hand.database, opened.id)

    found = walk(hand.database, run, ItemFilter(state=ItemState.FAILED), limit=2)

    assert 6 == len(found)
    assert sorted(item.id for item in found) == [item.id for item in found]


def _files(*paths: str) -> Iterator[NewItem]:
    for path in paths:
        yield NewItem(path, f"file:///in/d/{path}", 10, 10**18)
