"""Submissions over HTTP that were cut off and never came again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from grange.core.states import RunState
from grange.db import Database
from grange.errors import RunBusy
from grange.runs import submission
from grange.runs.service import CUT_OFF_SECONDS, Runs
from tests.runs.ledgers import new_items, spec_of

A_DAY = CUT_OFF_SECONDS + submission.SUBMITTER_LEASE_SECONDS


@pytest.fixture
def runs(database: Database, tmp_path: Path) -> Runs:
    """Give the runs of a ledger, once of each kind."""
    return Runs(database, logs=tmp_path / "logs")


def begun(database: Database, folder: Path, owner: str | None = "u1") -> submission.Opened:
    """Begin to submit a run, and never end it."""
    opened = submission.open_run(database, spec_of(folder, owner=owner))
    submission.add_items(database, opened, new_items(3))
    return opened


def test_a_submission_that_was_cut_off_is_called_off_after_a_day(
    database: Database, runs: Runs, tmp_path: Path
) -> None:
    """Not before: the client may come again; and what whoever sends the rest later is told so."""
    opened = begun(database, tmp_path / "a")

    assert 0 == runs.sweep(clock=lambda: time.time() + A_DAY - 60)
    assert RunState.SUBMITTING is runs.find(opened.id).state
    assert 1 == runs.sweep(clock=lambda: time.time() + A_DAY + 60)
    ended = runs.find(opened.id)
    assert (RunState.CANCELLED, 3) == (ended.state, ended.counts.cancelled)
    assert 0 == runs.sweep(clock=lambda: time.time() + 2 * A_DAY)
    with pytest.raises(RunBusy):
        submission.seal(database, opened)


def test_submissions_without_a_server_are_left_to_who_gave_the_command(
    database: Database, runs: Runs, tmp_path: Path
) -> None:
    """Theirs to go on with whenever they like; and whole runs are nobody's rubbish."""
    embedded = begun(database, tmp_path / "a", owner=None)
    whole = begun(database, tmp_path / "b")
    submission.seal(database, whole)

    assert 0 == runs.sweep(clock=lambda: time.time() + 100 * A_DAY)
    assert RunState.SUBMITTING is runs.find(embedded.id).state
    assert RunState.WAITING is runs.find(whole.id).state
