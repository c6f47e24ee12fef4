"""Items one after the other, by pages and windows of which nobody notices anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from grange.core.states import ItemState
from grange.db import open_database, prepare
from grange.errors import ItemNotFound
from grange.runs import submission, walking
from grange.runs.models import NewItem
from tests.runs.ledgers import Hand, done, failed, new_items, spec_of


def _named(*paths: str) -> list[NewItem]:
    return [NewItem(path, f"file:///in/{path}", 1, 1) for path in paths]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages and windows be so short that there are several."""
    monkeypatch.setattr(walking, "PAGE", 3)
    monkeypatch.setattr(walking, "WINDOW", 2)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("count", [1, 3, 7])
def test_each_item_comes_once_and_in_order(hand: Hand, tmp_path: Path, count: int) -> None:
    """Also when the items of another run came between them, and wherever a page ends."""
    two = [submission.open_run(hand.database, spec_of(tmp_path / name)) for name in "ab"]
    for number in range(count):
        for opened in two:
            submission.add_items(hand.database, opened, _named(f"{number}"))
    for opened in two:
        submission.seal(hand.database, opened)

    for opened in two:
        found = [one.path for one in walking.iterate_items(hand.database, opened.number)]
        assert [f"{number}" for number in range(count)] == found


@pytest.mark.usefixtures("short")
def test_items_of_one_state_are_all_found(hand: Hand, tmp_path: Path) -> None:
    """Pages of a state are as long as others, and miss none."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(10))
    hand.take(opened.number)
    tasks = hand.claim()
    hand.conclude(
        *(failed(task, retryable=False) for task in tasks[:4]), *(done(task) for task in tasks[4:])
    )

    def count(state: ItemState) -> int:
        return sum(1 for _ in walking.iterate_items(hand.database, opened.number, state=state))

    assert 4 == count(ItemState.FAILED)
    assert 6 == count(ItemState.DONE)
    assert 0 == count(ItemState.WAITING)


def test_no_page_looks_at_all_items(tmp_path: Path) -> None:
    """A page costs what is on it: nothing is sorted, and no index is read from its beginning."""
    with closing(open_database(tmp_path / "grange.db")) as database:
        prepare(database)
        hand = Hand(database, tmp_path)
        opened = hand.submit(spec_of(tmp_path / "out"), new_items(5))
        with _written() as statements:
            assert 5 == len(list(walking.iterate_items(database, opened.number)))
        with database.read() as connection:
            plans = [
                line.detail
                for statement, values in statements
                for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                # The page's own numbers, which come as a list.
                if "json_each" not in line.detail
            ]

    assert any("items USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in line for line in plans)
    assert [] == [line for line in plans if "SCAN" in line or "TEMP B-TREE" in line]


@contextmanager
def _written() -> Iterator[list[tuple[str, Any]]]:
    """All SELECTs that are sent meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_one: object, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            found.append((statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.usefixtures("short")
def test_an_item_is_found_by_its_path_or_the_end_of_it(hand: Hand, tmp_path: Path) -> None:
    """The whole path comes first, wherever it is; an end must be that of one item alone."""
    paths = ("a/x.jpg", "b/x.jpg", "c/y.jpg", "d/ax.jpg", "e/y.jpg.txt", "x.jpg", "d/%.jpg")
    opened = hand.submit(spec_of(tmp_path / "out"), _named(*paths))

    def find(path: str) -> str:
        return walking.find_item(hand.database, opened.number, path).path

    assert "x.jpg" == find("x.jpg")
    assert "b/x.jpg" == find("b/x.jpg")
    assert "c/y.jpg" == find("y.jpg")
    assert "d/%.jpg" == find("%.jpg")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("path", "said"), [("x.jpg", "several items"), ("z.jpg", "no item"), ("", "no item")]
)
def test_what_no_item_is_or_several_are_is_refused(
    hand: Hand, tmp_path: Path, path: str, said: str
) -> None:
    """It says which of both it is."""
    opened = hand.submit(spec_of(tmp_path / "out"), _named("a/x.jpg", "b", "c", "d", "e/x.jpg"))

    with pytest.raises(ItemNotFound, match=said):
        walking.find_item(hand.database, opened.number, path)
