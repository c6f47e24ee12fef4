"""The checker of histories finds what must not happen, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.contract.history import Deed, Event, HistoryFile, faults_in

SUBMITTED = Event(Deed.SUBMITTED, 7)
FIRST = Event(Deed.CLAIMED, 7, 1)
SECOND = Event(Deed.CLAIMED, 7, 2)
DONE = Event(Deed.TAKEN, 7, 1, "done")
LOST = Event(Deed.TAKEN, 7, 1, "lost")
PUBLISHED = Event(Deed.PUBLISHED, 7, 1)
ENDED = Event(Deed.ENDED, 7, 0, "done")


@pytest.mark.parametrize(
    "events",
    [
        [SUBMITTED, FIRST, DONE, PUBLISHED, ENDED],
        [SUBMITTED, FIRST, DONE, Event(Deed.REFUSED, 7, 1, "done"), ENDED],
        [SUBMITTED, FIRST, LOST, SECOND, Event(Deed.TAKEN, 7, 2, "done"), ENDED],
        [SUBMITTED, FIRST, SECOND, Event(Deed.TAKEN, 7, 2, "done"), ENDED],
        [SUBMITTED, FIRST, Event(Deed.ENDED, 7, 0, "cancelled"), Event(Deed.REFUSED, 7, 1)],
    ],
    ids=["plain", "delivered twice", "lost once", "given back by a new driver", "cancelled"],
)
def test_a_sound_history_has_no_faults(events: list[Event]) -> None:
    """Refused outcomes, lost attempts and claims that were given back are part of life."""
    assert [] == faults_in(events)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([SUBMITTED, FIRST, LOST], "is lost"),
        ([SUBMITTED, SUBMITTED, FIRST, DONE, ENDED], "submitted twice"),
        ([FIRST, DONE, ENDED], "never submitted"),
        ([SUBMITTED, FIRST, FIRST, DONE, ENDED], "epoch 1 was claimed after epoch 1"),
        ([SUBMITTED, FIRST, DONE, ENDED, SECOND], "claimed after it was done"),
        ([SUBMITTED, FIRST, DONE, DONE, ENDED], "two outcomes of epoch 1"),
        ([SUBMITTED, FIRST, SECOND, DONE, ENDED], "old epoch 1"),
        ([SUBMITTED, DONE, ENDED], "nobody has claimed"),
        ([SUBMITTED, FIRST, Event(Deed.ENDED, 7, 0, "cancelled"), DONE], "after it was cancelled"),
        ([SUBMITTED, FIRST, DONE, PUBLISHED, PUBLISHED, ENDED], "published twice"),
        ([SUBMITTED, FIRST, PUBLISHED, DONE, ENDED], "never done"),
        ([SUBMITTED, FIRST, LOST, ENDED], "no outcome says so"),
        ([SUBMITTED, FIRST, DONE, ENDED, ENDED], "after it was done"),
    ],
)
def test_each_fault_is_found_and_told(events: list[Event], words: str) -> None:
    """What is wrong is one sentence that names the task."""
    (fault,) = faults_in(events)

    assert fault.startswith("Task 7: ")
    assert words in fault


def test_of_a_history_that_goes_on_no_task_is_lost() -> None:
    """A task without an end may still come to one."""
    assert [] == faults_in([SUBMITTED, FIRST], whole=False)


def test_a_file_keeps_what_several_have_recorded(tmp_path: Path) -> None:
    """Each writer adds to what is there; what was never written to is empty."""
    one, other = HistoryFile(tmp_path / "history"), HistoryFile(tmp_path / "history")
    before = one.read()

    one.add(SUBMITTED, FIRST)
    other.add(DONE)

    assert [] == before
    assert [SUBMITTED, FIRST, DONE] == one.read()
