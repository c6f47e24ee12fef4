"""What of a run is worth a look while it goes on: what is slow, and what is tried again."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from grange.core.tasks import Failure, OutcomeState
from grange.db import Database
from grange.runs.troubles import FEWEST, is_slow, troubles
from tests.runs.ledgers import Hand, done, failed, new_items, spec_of


@pytest.fixture
def hand(hand: Hand, tmp_path: Path) -> Hand:
    """Give a hand that has taken a run of forty items."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(40))
    hand.take(opened.number)
    return hand


def test_what_takes_far_longer_than_others_is_slow(database: Database, hand: Hand) -> None:
    """The slowest first, and what is usual beside it."""
    tasks = hand.claim()
    slow = {tasks[7].path: 90.0, tasks[11].path: 400.0, tasks[20].path: 5.0}
    hand.conclude(*(replace(done(one), seconds=slow.get(one.path, 2.0)) for one in tasks))

    found = troubles(database, hand.driven.number, limit=5)

    assert 2.0 == found.usual_seconds
    assert [tasks[11].path, tasks[7].path] == [one.path for one in found.slow]
    assert [400.0, 90.0] == [one.seconds for one in found.slow]
    assert [] == found.failing


def test_of_a_few_items_nobody_knows_what_is_usual(database: Database, hand: Hand) -> None:
    """The first one to end is not slow for being the only one."""
    tasks = hand.claim(FEWEST - 1)
    hand.conclude(*(replace(done(one), seconds=100.0) for one in tasks))

    found = troubles(database, hand.driven.number, limit=5)

    assert found.usual_seconds is None
    assert [] == list(found.slow)


def test_what_fails_and_is_tried_again_is_told_with_its_reason(
    database: Database, hand: Hand
) -> None:
    """The one that has failed most often first, and since when it may go on."""
    hand.driven.policy = replace(hand.driven.policy, retries=5, delay_seconds=0.0)
    first, second, *rest = hand.claim()
    hand.conclude(failed(first), failed(second), *(done(one) for one in rest))
    (again,) = [one for one in hand.claim() if one.id == second.id]
    why = Failure("command.failed", "exit code 9")
    hand.conclude(replace(failed(again), state=OutcomeState.FAILED, failure=why))

    found = troubles(database, hand.driven.number, limit=5)

    assert [(second.path, 2), (first.path, 1)] == [(one.path, one.tries) for one in found.failing]
    assert ["exit code 9", "exit code 1"] == [
        (one.failure or {})["message"] for one in found.failing
    ]
    again_at = found.failing[0].again_at
    assert again_at is not None
    assert again_at <= time.time()
    # It was claimed once more: at work, so nothing has to be waited for.
    assert found.failing[1].again_at is None


@pytest.mark.parametrize(
    ("seconds", "usual", "slow"),
    [
        (1.9, 0.1, False),
        (2.0, 0.1, True),
        (39.0, 10.0, False),
        (40.0, 10.0, True),
        (9e9, None, False),
    ],
)
def test_slow_is_far_from_usual_and_long_for_a_person(
    seconds: float, usual: float | None, slow: bool
) -> None:
    """Four times as long as half of the others, and two seconds at least."""
    assert slow == is_slow(seconds, usual)
