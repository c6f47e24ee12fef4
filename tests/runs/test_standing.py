"""How much work a ledger holds, by pipeline, for whoever watches the site."""

from __future__ import annotations

import time
from pathlib import Path

from grange.db import Database
from grange.runs import control
from grange.runs.queries import run_of_number
from grange.runs.standing import standing
from tests.runs.ledgers import Hand, done, failed, new_items, spec_of


def test_an_empty_ledger_has_nothing_to_do(database: Database) -> None:
    """Nothing stands, and nothing is wrong."""
    assert {} == standing(database, now=time.time())


def test_runs_items_and_tasks_are_told_by_state(
    database: Database, hand: Hand, tmp_path: Path
) -> None:
    """Of a run at work and of one that waits, apart by pipeline."""
    hand.submit(spec_of(tmp_path / "waits", pipeline="wildlife"), new_items(7))
    hand.take(hand.submit(spec_of(tmp_path / "works"), new_items(20)).number)
    one, two, *_ = hand.claim(6)
    hand.conclude(done(one), failed(two, retryable=False))

    found = standing(database, now=time.time() + 100)

    command, wildlife = found["command"], found["wildlife"]
    assert {"running": 1} == dict(command.runs)
    assert {"waiting": 1} == dict(wildlife.runs)
    items = {"waiting": 14, "running": 4, "done": 1, "failed": 1, "cancelled": 0}
    assert items == dict(command.items)
    assert {"running": 4} == dict(command.tasks)
    assert (18, 7) == (command.queued, wildlife.queued)
    assert 100 <= command.quiet_seconds <= command.age_seconds < 160


def test_an_end_breaks_the_quiet(database: Database, hand: Hand, tmp_path: Path) -> None:
    """From the last item that ended on, whenever the run was submitted."""
    hand.take(hand.submit(spec_of(tmp_path / "out"), new_items(3)).number)
    before = time.time()
    hand.conclude(done(hand.claim(1)[0]))
    later = time.time() + 50

    (found,) = standing(database, now=later).values()

    assert 50 <= found.quiet_seconds <= later - before
    assert found.age_seconds >= found.quiet_seconds


def test_a_paused_run_waits_for_nobody(database: Database, hand: Hand, tmp_path: Path) -> None:
    """Its items are there, but no alert is raised for them."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(3))
    control.pause(database, run_of_number(database, opened.number))

    (found,) = standing(database, now=time.time() + 100).values()

    assert {"paused": 1} == dict(found.runs)
    assert 3 == found.items["waiting"]
    assert (0, 0.0, 0.0) == (found.queued, found.age_seconds, found.quiet_seconds)
