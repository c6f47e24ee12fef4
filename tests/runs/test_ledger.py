"""What the ledger promises, on SQLite, PostgreSQL and MariaDB alike."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from grange.core.states import ItemState, RunState
from grange.core.tasks import OutcomeState, TaskKind
from grange.db import Database
from grange.errors import InputsInvalid, OutputInUse, RunBusy, RunIncomplete, RunNotFound
from grange.runs import control, driving, outcomes, publishing, queries, submission, walking
from grange.runs.models import Counts, NewItem
from grange.runs.tables import attempts, items, tasks
from grange.runs.writes import LONGEST_WORKER
from tests.runs.ledgers import SHA, Hand, done, failed, new_items, of_state, spec_of


def states(database: Database, number: int) -> dict[str, int]:
    """Count the items of a run by state, for real."""
    with database.read() as connection:
        query = select(items.c.state, func.count()).where(items.c.run == number)
        return {row[0]: row[1] for row in connection.execute(query.group_by(items.c.state))}


def test_a_run_goes_from_submission_to_its_end(hand: Hand, tmp_path: Path) -> None:
    """Items are claimed heaviest first, done ones are published, and the counts say so."""
    sizes = [NewItem(f"{size}", f"file:///in/{size}", size, 1) for size in (1, 5000, 70)]
    opened = hand.submit(spec_of(tmp_path / "out"), sizes)
    hand.take(opened.number)

    claimed = hand.claim()
    answer = hand.conclude(*[done(one, outputs=hand.stage(one, {"a": b"x"})) for one in claimed])
    published = hand.publish(answer)
    driving.finish(hand.database, hand.driven, hand.grip, RunState.DONE, now=time.time())

    assert ["5000", "70", "1"] == [one.path for one in claimed]
    assert 3 == len(published.ended)
    assert b"x" == (tmp_path / "out" / "70" / "a").read_bytes()
    run = queries.find_run(hand.database, opened.id)
    assert Counts(total=3, done=3) == run.counts
    assert RunState.DONE is run.state


def test_a_late_outcome_is_refused(hand: Hand, tmp_path: Path) -> None:
    """After a lease ran out and the task was claimed again, the first holder counts no more."""
    hand.grip = replace(hand.grip, lease_seconds=0.0)
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)
    (first,) = hand.claim()
    outcomes.sweep(hand.database, hand.driven, now=time.time())
    (second,) = hand.claim()

    late = hand.conclude(done(first))
    right = hand.conclude(done(second))

    assert [first.id] == [one.task for one in late.refused]
    assert not late.ended
    assert second.epoch == first.epoch + 1
    assert 1 == len(right.ended)
    assert Counts(total=1, done=1) == queries.find_run(hand.database, opened.id).counts


def test_an_outcome_delivered_twice_counts_once(hand: Hand, tmp_path: Path) -> None:
    """In one batch or in two: the second delivery is refused."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(3))
    hand.take(opened.number)
    claimed = hand.claim()

    hand.conclude(*[done(one) for one in claimed], done(claimed[0]))
    again = hand.conclude(*[done(one) for one in claimed])

    assert 3 == len(again.refused)
    assert Counts(total=3, done=3) == queries.find_run(hand.database, opened.id).counts
    with hand.database.read() as connection:
        assert 3 == connection.execute(select(func.count()).select_from(attempts)).scalar()


def test_a_machine_may_have_a_long_name(hand: Hand, tmp_path: Path) -> None:
    """Of the worker of an attempt as much is kept as there is room for; no run stops for that."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)
    [task] = hand.claim()

    hand.conclude(replace(done(task), worker="ü" * 200))

    assert Counts(total=1, done=1) == queries.find_run(hand.database, opened.id).counts
    with hand.database.read() as connection:
        kept = connection.execute(select(attempts.c.worker)).scalar_one()
    assert "ü" * LONGEST_WORKER == kept


def test_a_failure_is_tried_again_and_then_set_aside_with_its_evidence(
    hand: Hand, tmp_path: Path
) -> None:
    """Two retries, three attempts, one failed item, and the others are done."""
    opened = hand.submit(spec_of(tmp_path / "out", retries=2), new_items(4))
    hand.take(opened.number)
    bad, *good = hand.claim()
    hand.conclude(failed(bad), *[done(one) for one in good])
    for _ in range(2):
        (again,) = hand.claim()
        assert bad.path == again.path
        hand.conclude(failed(again))

    run = queries.find_run(hand.database, opened.id)
    (group,) = queries.failures(hand.database, opened.number)
    item = walking.find_item(hand.database, opened.number, bad.path)

    assert Counts(total=4, done=3, failed=1) == run.counts
    assert ("command.failed", 1) == (group.code, group.count)
    assert 3 == item.attempts
    assert item.failure is not None
    assert "exit code 1" == item.failure["message"]
    assert not hand.claim()


def test_what_was_never_begun_does_not_count_as_an_attempt(hand: Hand, tmp_path: Path) -> None:
    """Tasks that a dying worker hands back may come back for ever."""
    opened = hand.submit(spec_of(tmp_path / "out", retries=0), new_items(1))
    hand.take(opened.number)
    for _ in range(5):
        (task,) = hand.claim()
        hand.conclude(of_state(OutcomeState.RETURNED)(task))
    (task,) = hand.claim()

    hand.conclude(done(task))

    assert 6 == task.epoch
    assert 1 == walking.find_item(hand.database, opened.number, task.path).attempts


def test_a_dead_drivers_claims_are_given_out_again(hand: Hand, tmp_path: Path) -> None:
    """Taking a run over hands back all that was claimed; outcomes of before are refused."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(10))
    hand.take(opened.number)
    before = hand.claim(6)
    driving.let_go(hand.database, hand.driven, hand.grip)
    hand.take(opened.number)

    after = hand.claim()
    late = hand.conclude(*[done(one) for one in before])

    assert 10 == len(after)
    assert 6 == len(late.refused)
    assert {1, 2} == {one.epoch for one in after}


def test_one_driver_at_a_time(hand: Hand, tmp_path: Path) -> None:
    """A second driver is told who works on the run."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)

    with pytest.raises(RunBusy, match="this machine"):
        Hand(hand.database, tmp_path).take(opened.number)


def test_a_driver_that_lost_its_run_notices(hand: Hand, tmp_path: Path) -> None:
    """After a lease without a sign of life another takes over, and the first one's hold is gone."""
    hand.grip = replace(hand.grip, lease_seconds=0.0)
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    driven = hand.take(opened.number)
    other = Hand(hand.database, tmp_path)
    other.take(opened.number)

    assert not driving.keep(hand.database, driven, hand.grip, now=time.time())
    assert driving.keep(other.database, other.driven, other.grip, now=time.time())


def test_the_same_request_finds_its_own_unfinished_run(hand: Hand, tmp_path: Path) -> None:
    """Submitting it again makes no second run, and inputs that came since join it."""
    spec = spec_of(tmp_path / "out")
    first = hand.submit(spec, new_items(3))
    again = submission.open_run(hand.database, spec)
    submission.add_items(hand.database, again, new_items(5))
    submission.seal(hand.database, again)

    assert first.id == again.id
    assert 5 == queries.find_run(hand.database, first.id).counts.total


def test_a_submission_in_hand_is_left_to_its_submitter(hand: Hand, tmp_path: Path) -> None:
    """The same command twice at once fills one run once; the second one is told that it is busy."""
    first = submission.open_run(hand.database, spec_of(tmp_path / "out"))
    second = submission.open_run(hand.database, spec_of(tmp_path / "out"))
    submission.add_items(hand.database, first, new_items(3))

    assert (False, True) == (first.busy, second.busy)
    with pytest.raises(RunBusy):
        submission.add_items(hand.database, second, new_items(3))
    with pytest.raises(RunBusy):
        hand.take(first.number)


def test_a_submission_that_was_cut_off_is_finished_by_the_same_command(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can't be worked on half taken in; the same request goes on where it stopped."""
    spec = spec_of(tmp_path / "out")
    monkeypatch.setattr(submission, "SUBMITTER_LEASE_SECONDS", 0.0)
    first = submission.open_run(hand.database, spec)
    submission.add_items(hand.database, first, new_items(2))
    with pytest.raises(RunIncomplete):
        hand.take(first.number)

    again = hand.submit(spec, new_items(5))
    hand.take(again.number)

    assert first.id == again.id
    assert 5 == len(hand.claim())


def test_another_request_for_the_same_place_is_refused(hand: Hand, tmp_path: Path) -> None:
    """Two unfinished runs never write to one folder; the error names the other one."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))

    with pytest.raises(OutputInUse, match=opened.id):
        submission.open_run(
            hand.database,
            spec_of(tmp_path / "out", params={"a": 1}, version="2", function_key="e" * 64),
        )


def test_a_run_without_items_is_no_run(hand: Hand, tmp_path: Path) -> None:
    """It is refused, and nothing of it stays."""
    with pytest.raises(InputsInvalid):
        hand.submit(spec_of(tmp_path / "out"), [])

    assert [] == queries.list_runs(hand.database)


def test_an_item_that_was_being_published_is_found_again(hand: Hand, tmp_path: Path) -> None:
    """Dying between the accepted outcome and the rename loses nothing and repeats nothing."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(2))
    hand.take(opened.number)
    one, two = hand.claim()
    answer = hand.conclude(
        done(one, outputs=hand.stage(one, {"a": b"1"})),
        done(two, outputs=hand.stage(two, {"a": b"2"})),
    )
    # The first one got as far as its name, the second one did not.
    only = replace(answer, publish=answer.publish[:1])
    for publication in only.publish:
        publishing._publish(hand.driven, publication)
    driving.let_go(hand.database, hand.driven, hand.grip)

    hand.take(opened.number)
    found = publishing.recover(hand.database, hand.driven)
    publishing.publish(hand.database, hand.driven, found, now=time.time())

    assert {"done": 2} == states(hand.database, opened.number)
    assert b"1" == (tmp_path / "out" / one.path / "a").read_bytes()
    assert b"2" == (tmp_path / "out" / two.path / "a").read_bytes()
    assert not hand.claim()


def test_an_accepted_result_that_is_gone_is_made_again(hand: Hand, tmp_path: Path) -> None:
    """When somebody removed the staged files, the item is worked on once more."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)
    (one,) = hand.claim()
    answer = hand.conclude(done(one, outputs=hand.stage(one, {"a": b"1"})))
    hand.driven.store.discard(answer.publish[0].token)

    published = hand.publish(answer)
    (again,) = hand.claim()
    hand.publish(hand.conclude(done(again, outputs=hand.stage(again, {"a": b"1"}))))

    assert not published.ended
    assert {"done": 1} == states(hand.database, opened.number)
    assert b"1" == (tmp_path / "out" / one.path / "a").read_bytes()


def test_equal_work_is_done_once(hand: Hand, tmp_path: Path) -> None:
    """The same files again cost no task when the outputs lie there, and a copy elsewhere."""
    spec = spec_of(tmp_path / "out")
    opened = hand.submit(spec, new_items(3))
    hand.take(opened.number)
    claimed = hand.claim()
    hand.publish(
        hand.conclude(*[done(one, outputs=hand.stage(one, {"a": b"x"})) for one in claimed])
    )
    driving.finish(hand.database, hand.driven, hand.grip, RunState.DONE, now=time.time())

    again = hand.submit(spec, new_items(3))
    hand.take(again.number)
    assert not hand.claim()
    elsewhere = hand.submit(spec_of(tmp_path / "other"), new_items(3))
    hand.take(elsewhere.number)
    copies = hand.claim()

    assert Counts(total=3, done=3, reused=3) == queries.find_run(hand.database, again.id).counts
    assert {TaskKind.COPY} == {one.kind for one in copies}


def test_a_renamed_or_touched_file_is_read_once_and_then_known(hand: Hand, tmp_path: Path) -> None:
    """An equal size makes a digest worth while; equal bytes are then found by it."""
    spec = spec_of(tmp_path / "out", reads_name=False)
    opened = hand.submit(spec, new_items(1))
    hand.take(opened.number)
    hand.conclude(*[done(one) for one in hand.claim()])
    driving.finish(hand.database, hand.driven, hand.grip, RunState.DONE, now=time.time())

    moved = [NewItem("new name.txt", "file:///in/new name.txt", 100, 7)]
    again = hand.submit(spec_of(tmp_path / "other", reads_name=False), moved)
    hand.take(again.number)
    (task,) = hand.claim()
    answer = hand.conclude(done(task))

    assert TaskKind.DIGEST is task.kind
    assert [True] == [event.reused for event in answer.ended]
    assert {"done": 1} == states(hand.database, again.number)


def test_an_output_that_was_changed_by_hand_is_not_used_again(hand: Hand, tmp_path: Path) -> None:
    """Reuse trusts nothing that differs from what was recorded of it."""
    spec = spec_of(tmp_path / "out")
    opened = hand.submit(spec, new_items(1))
    hand.take(opened.number)
    (one,) = hand.claim()
    hand.publish(hand.conclude(done(one, outputs=hand.stage(one, {"a": b"x"}))))
    driving.finish(hand.database, hand.driven, hand.grip, RunState.DONE, now=time.time())
    (tmp_path / "out" / one.path / "a").write_bytes(b"edited")

    again = hand.submit(spec, new_items(1))
    hand.take(again.number)

    assert [TaskKind.PROCESS] == [task.kind for task in hand.claim()]


def test_a_copy_that_fails_becomes_real_work(hand: Hand, tmp_path: Path) -> None:
    """An earlier result that is not what it was costs nothing but the work."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)
    (one,) = hand.claim()
    hand.publish(hand.conclude(done(one, outputs=hand.stage(one, {"a": b"x"}))))
    driving.finish(hand.database, hand.driven, hand.grip, RunState.DONE, now=time.time())
    elsewhere = hand.submit(spec_of(tmp_path / "other"), new_items(1))
    hand.take(elsewhere.number)
    (copy,) = hand.claim()

    hand.conclude(failed(copy, retryable=False))
    (work,) = hand.claim()

    assert (TaskKind.COPY, TaskKind.PROCESS) == (copy.kind, work.kind)
    assert 0 == queries.find_run(hand.database, elsewhere.id).counts.failed


def test_parts_are_merged_once_all_are_done(hand: Hand, tmp_path: Path) -> None:
    """Split, then the parts in any order, then one merge that is told of all in order."""
    opened = hand.submit(spec_of(tmp_path / "out", splits=True), new_items(1))
    hand.take(opened.number)
    (split,) = hand.claim()
    hand.conclude(done(split, result=[{"from": 0}, {"from": 5}, {"from": 9}]))
    parts = hand.claim()
    hand.conclude(done(parts[2], result=2))
    assert not hand.claim()
    hand.conclude(done(parts[0], result=0), done(parts[1], result=1))
    (merge,) = hand.claim()
    answer = hand.conclude(done(merge, outputs=hand.stage(merge, {"all": b"012"})))
    hand.publish(answer)

    assert [TaskKind.PROCESS] * 3 == [one.kind for one in parts]
    assert [{"from": 0}, {"from": 5}, {"from": 9}] == [one.payload for one in parts]
    assert TaskKind.MERGE is merge.kind
    assert [0, 1, 2] == [one["result"] for one in merge.payload["parts"]]
    assert 3 == len(answer.discard)
    item = walking.find_item(hand.database, opened.number, split.path)
    assert (ItemState.DONE, 1) == (item.state, item.attempts)
    assert SHA == item.sha256


def test_an_item_of_one_part_is_done_with_its_split(hand: Hand, tmp_path: Path) -> None:
    """Its worker has gone on to the end: what comes back is the item's result."""
    opened = hand.submit(spec_of(tmp_path / "out", splits=True), new_items(3))
    hand.take(opened.number)
    one, two, three = hand.claim()
    outcomes = [
        done(task, outputs=hand.stage(task, {"all": b"0"}), result={"cats": 2}, merged=True)
        for task in (one, two)
    ]

    hand.publish(hand.conclude(*outcomes, done(three, result=[1, 2])))

    assert [TaskKind.PROCESS] * 2 == [task.kind for task in hand.claim()]
    assert {"done": 2, "running": 1} == states(hand.database, opened.number)
    item = walking.find_item(hand.database, opened.number, one.path)
    assert ({"cats": 2}, 1, SHA) == (item.result, item.attempts, item.sha256)
    assert b"0" == (tmp_path / "out" / one.path / "all").read_bytes()


def test_a_part_that_fails_for_good_fails_its_item_and_calls_off_the_others(
    hand: Hand, tmp_path: Path
) -> None:
    """No part of a failed item is worked on any more, and what was staged of them goes."""
    opened = hand.submit(spec_of(tmp_path / "out", splits=True, retries=0), new_items(1))
    hand.take(opened.number)
    (split,) = hand.claim()
    hand.conclude(done(split, result=[1, 2, 3]))
    one, two, three = hand.claim()

    answer = hand.conclude(done(one), failed(two))
    late = hand.conclude(done(three))

    assert [three.id] == answer.abandon
    assert [three.id] == [outcome.task for outcome in late.refused]
    assert Counts(total=1, failed=1) == queries.find_run(hand.database, opened.id).counts
    assert not hand.claim()


def test_cancelled_items_and_failed_ones_can_be_tried_again(hand: Hand, tmp_path: Path) -> None:
    """Retry opens what is not done, and only that."""
    opened = hand.submit(spec_of(tmp_path / "out", retries=0), new_items(5))
    hand.take(opened.number)
    one, two, *_ = hand.claim()
    hand.conclude(done(one), failed(two))
    driving.cancel_rest(hand.database, opened.number, now=time.time())
    driving.finish(hand.database, hand.driven, hand.grip, RunState.FAILED, now=time.time())
    before = queries.find_run(hand.database, opened.id)

    number = control.retry(hand.database, before)
    hand.take(opened.number)
    again = hand.claim()

    assert Counts(total=5, done=1, failed=1, cancelled=3) == before.counts
    assert 4 == number == len(again)
    assert {"done": 1, "running": 4} == states(hand.database, opened.number)
    assert Counts(total=5, done=1) == queries.find_run(hand.database, opened.id).counts


def test_deleting_a_run_leaves_nothing_of_it_and_all_of_others(hand: Hand, tmp_path: Path) -> None:
    """Rows of its items, tasks and attempts go; a neighbour's stay."""
    other = hand.submit(spec_of(tmp_path / "other"), new_items(2))
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(20))
    hand.take(opened.number)
    hand.conclude(*[done(one) for one in hand.claim()])
    driving.finish(hand.database, hand.driven, hand.grip, RunState.DONE, now=time.time())

    control.delete_run(hand.database, queries.find_run(hand.database, opened.id))

    with pytest.raises(RunNotFound):
        queries.find_run(hand.database, opened.id)
    with hand.database.read() as connection:
        assert 2 == connection.execute(select(func.count()).select_from(items)).scalar()
        assert 0 == connection.execute(select(func.count()).select_from(tasks)).scalar()
    assert {"waiting": 2} == states(hand.database, other.number)


def test_a_run_in_someones_hands_is_not_deleted(hand: Hand, tmp_path: Path) -> None:
    """The error says who works on it."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)

    with pytest.raises(RunBusy):
        control.delete_run(hand.database, queries.find_run(hand.database, opened.id))


def test_runs_are_found_by_id_its_beginning_their_name_and_last(hand: Hand, tmp_path: Path) -> None:
    """And an unknown one is said to be unknown."""
    first = hand.submit(spec_of(tmp_path / "1", name="spring"), new_items(1))
    second = hand.submit(spec_of(tmp_path / "2"), new_items(1))
    find = queries.find_run

    assert first.id == find(hand.database, first.id).id
    assert first.id == find(hand.database, first.id[:9]).id
    assert first.id == find(hand.database, "spring").id
    assert second.id == find(hand.database, "last").id
    with pytest.raises(RunNotFound):
        find(hand.database, "nothing like it")


def test_odd_item_paths_come_back_as_they_were(hand: Hand, tmp_path: Path) -> None:
    """Case, trailing spaces, newlines, quotes and emoji tell items apart."""
    names = ["a", "A", "a ", "a\n", "'", '"', "ä", "a\u0308", "🦊", "-rf", "x" * 255]
    found = [NewItem(name, f"file:///in/{number}", 1, 1) for number, name in enumerate(names)]

    opened = hand.submit(spec_of(tmp_path / "out"), found)

    assert names == [one.path for one in walking.iterate_items(hand.database, opened.number)]
