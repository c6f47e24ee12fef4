"""What a station has taken and not settled is found again by the next one."""

from __future__ import annotations

from pathlib import Path

from grange.core.tasks import Outcome, OutcomeState, Output
from grange.worker.station.journal import COMPACT_BYTES, Journal

DONE = Outcome(2, 1, OutcomeState.DONE, 1.5, "w1", outputs=(Output("a", 1, "00", 5),))


def test_a_journal_knows_how_far_each_attempt_was(tmp_path: Path) -> None:
    """Taken, begun, ended with or without having been carried away; the settled are gone."""
    journal = Journal(tmp_path / "journal")
    journal.take("run", [(1, 1), (2, 1), (3, 4), (5, 1)])
    journal.begin([(2, 1), (3, 4)])
    journal.end("run", [DONE], carried=False)
    journal.settle([(5, 1)])

    found = {(one.task, one.epoch): one for one in Journal(tmp_path / "journal").unsettled()}

    assert {(1, 1), (2, 1), (3, 4)} == set(found)
    assert [False, True, True] == [found[key].begun for key in ((1, 1), (2, 1), (3, 4))]
    assert (DONE, False) == (found[2, 1].outcome, found[2, 1].carried)
    assert found[3, 4].outcome is None
    journal.close()


def test_a_line_that_was_cut_off_costs_that_line_alone(tmp_path: Path) -> None:
    """A full disk, or a crash in the middle of a line: what was written whole counts."""
    journal = Journal(tmp_path / "journal")
    journal.take("run", [(1, 1)])
    journal.close()
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'\n{"settled":[[1,')
    again = Journal(tmp_path / "journal")
    again.take("run", [(2, 1)])
    again.close()

    found = [(one.task, one.epoch) for one in Journal(tmp_path / "journal").unsettled()]

    assert [(1, 1), (2, 1)] == found


def test_a_journal_doesn_t_grow_for_ever(tmp_path: Path) -> None:
    """What is settled takes no room, also when something else never is."""
    journal = Journal(tmp_path / "journal")
    journal.take("run", [(0, 1)])
    long = Outcome(1, 1, OutcomeState.DONE, result="x" * 100_000)
    for _ in range(60):
        journal.take("run", [(1, 1)])
        journal.end("run", [long], carried=True)
        journal.settle([(1, 1)])

    assert (tmp_path / "journal").stat().st_size < COMPACT_BYTES + 200_000
    assert [0] == [one.task for one in journal.unsettled()]

    journal.settle([(0, 1)])
    assert 0 == (tmp_path / "journal").stat().st_size
    journal.close()


def test_a_journal_that_can_t_be_written_says_so_and_goes_on(tmp_path: Path) -> None:
    """In memory it knows all the same; what it knows is written once that is possible."""
    path = tmp_path / "later" / "journal"
    journal = Journal(path)
    assert journal.broken
    journal.take("run", [(1, 1)])
    assert [1] == [one.task for one in journal.unsettled()]

    path.parent.mkdir()
    journal.mend()

    assert not journal.broken
    assert [1] == [one.task for one in Journal(path).unsettled()]
    journal.close()


def test_a_journal_that_holds_much_is_not_written_anew_each_time(tmp_path: Path) -> None:
    """Only what it has grown by counts: else each word would cost as much as all that is held."""
    path = tmp_path / "journal"
    Journal(path).take("r", [(number, 1) for number in range(140_000)])
    journal = Journal(path)
    before = path.stat()
    assert before.st_size > COMPACT_BYTES
    journal.settle([(0, 1)])
    assert before.st_ino == path.stat().st_ino
    assert before.st_size < path.stat().st_size
