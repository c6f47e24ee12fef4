"""The account beside the results: while it is written, the run stays in its driver's hands."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from grange.core.states import RunState
from grange.errors import RunBusy
from grange.runs import closing
from grange.runs.driver import this_driver
from grange.runs.tables import runs
from tests.runs.ledgers import Hand, new_items, spec_of


@pytest.fixture
def beating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the driver say with each item that it lives."""
    monkeypatch.setattr(closing, "BEATS", 1e9)
    monkeypatch.setattr(closing, "LOOK_EVERY", 1)


def _taken(hand: Hand, tmp_path: Path) -> None:
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(3))
    hand.take(opened.number)


@pytest.mark.usefixtures("beating")
def test_a_driver_that_writes_for_long_is_heard_meanwhile(hand: Hand, tmp_path: Path) -> None:
    """The account of very many items takes longer than a lease; nobody takes the run for that."""
    _taken(hand, tmp_path)
    mine = runs.c.number == hand.driven.number
    with hand.database.write() as connection:
        connection.execute(update(runs).where(mine).values(driver_until=time.time() - 1))

    closing.write_files(hand.database, hand.driven, RunState.DONE, now=1.0, grip=hand.grip)

    with hand.database.read() as connection:
        until = connection.execute(select(runs.c.driver_until).where(mine)).scalar()
    assert until is not None
    assert until > time.time()
    assert 3 == len((tmp_path / "out" / "items.jsonl").read_text().splitlines())


@pytest.mark.usefixtures("beating")
def test_who_has_lost_the_run_does_not_write_its_account(hand: Hand, tmp_path: Path) -> None:
    """Its files may be another driver's by now."""
    _taken(hand, tmp_path)
    mine = runs.c.number == hand.driven.number
    with hand.database.write() as connection:
        connection.execute(update(runs).where(mine).values(driver=this_driver().record()))

    with pytest.raises(RunBusy, match="taken over"):
        closing.write_files(hand.database, hand.driven, RunState.DONE, now=1.0, grip=hand.grip)

    assert not (tmp_path / "out" / "items.jsonl").exists()
