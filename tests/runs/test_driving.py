"""Taking runs in hand and letting them go, where work goes on without its driver."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from grange.core.resources import Needs
from grange.core.states import RunState
from grange.core.tasks import OutcomeState
from grange.db import Database
from grange.engines import make_engine
from grange.errors import RunBusy
from grange.runs import driver, driving, outcomes, queries
from grange.runs.dispatch import Dispatcher
from grange.runs.driver import at_work, this_driver
from grange.runs.models import Counts
from grange.runs.tables import runs, tasks
from tests.runs.ledgers import Hand, done, failed, new_items, of_state, spec_of

BROKER = "amqp://broker/site"


@pytest.fixture
def far(hand: Hand) -> Hand:
    """Give a hand whose engine outlives its driver."""
    return with_engine(hand, BROKER)


def with_engine(hand: Hand, engine: str) -> Hand:
    """Give the next driver's hand, with this engine."""
    fresh = Hand(hand.database, hand.folder)
    fresh.grip = replace(fresh.grip, engine=engine, driver=this_driver())
    return fresh


def leases(database: Database) -> list[float | None]:
    """Give the leases of all tasks."""
    with database.read() as connection:
        return list(connection.execute(select(tasks.c.lease_until).order_by(tasks.c.id)).scalars())


def test_work_in_flight_stays_where_it_is_when_its_driver_goes(far: Hand, tmp_path: Path) -> None:
    """The next driver with the same engine takes the outcomes of what the first one gave out."""
    opened = far.submit(spec_of(tmp_path / "out"), new_items(5))
    far.take(opened.number)
    before = far.claim(3)
    driving.let_go(far.database, far.driven, far.grip, going_on=True)
    after = with_engine(far, BROKER)
    after.take(opened.number)

    assert {one.id for one in before} == set(after.driven.flying)
    assert {one.epoch for one in before} == {one.task.epoch for one in after.driven.flying.values()}
    assert 2 == len(after.claim())
    answer = after.conclude(*[done(one) for one in before])
    assert (3, 0) == (len(answer.ended), len(answer.refused))
    assert 3 == queries.find_run(far.database, opened.id).counts.done


def test_work_in_flight_survives_a_driver_that_was_killed(far: Hand, tmp_path: Path) -> None:
    """Its record says which engine it had; leases hold for one more lease from then on."""
    opened = far.submit(spec_of(tmp_path / "out"), new_items(2))
    far.grip = replace(far.grip, lease_seconds=0.0)
    far.take(opened.number)
    before = far.claim()
    after = with_engine(far, BROKER)
    now = time.time()
    after.take(opened.number)

    assert {one.id for one in before} == set(after.driven.flying)
    assert all(lease and lease >= now + after.grip.lease_seconds for lease in leases(far.database))


@pytest.mark.parametrize("engine", ["", "amqp://another/site"])
def test_what_another_engine_has_is_given_out_again(far: Hand, tmp_path: Path, engine: str) -> None:
    """Nobody waits for workers that this driver does not hear."""
    opened = far.submit(spec_of(tmp_path / "out"), new_items(4))
    far.grip = replace(far.grip, lease_seconds=0.0)
    far.take(opened.number)
    before = far.claim()
    other = with_engine(far, engine)
    other.take(opened.number)

    assert not other.driven.flying
    assert 4 == len(other.claim())
    assert 4 == len(other.conclude(*[done(one) for one in before]).refused)


def test_a_local_drivers_claims_end_with_it(hand: Hand, tmp_path: Path) -> None:
    """A broker never had them, so nobody waits for it when the next driver has one."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(4))
    hand.grip = replace(hand.grip, lease_seconds=0.0)
    hand.take(opened.number)
    hand.claim()
    far = with_engine(hand, BROKER)
    far.take(opened.number)

    assert not far.driven.flying
    assert 4 == len(far.claim())


def test_a_message_that_was_lost_costs_no_attempt(far: Hand, tmp_path: Path) -> None:
    """What no worker was ever seen at is given out again, as if it had never been."""
    opened = far.submit(spec_of(tmp_path / "out", retries=0), new_items(2))
    far.take(opened.number)
    seen, unseen = far.claim()
    far.driven.begun.add(seen.id)

    answer = outcomes.sweep(far.database, far.driven, now=time.time() + 61)
    (again,) = far.claim()

    assert {seen.id, unseen.id} == set(answer.abandon)
    assert (unseen.id, 2) == (again.id, again.epoch)
    assert [seen.path] == [one.path for one in answer.ended]
    assert Counts(total=2, failed=1) == queries.find_run(far.database, opened.id).counts


def test_what_goes_missing_again_and_again_counts_in_the_end(far: Hand, tmp_path: Path) -> None:
    """An input that ends its machine before a beat could tell is set aside like any other."""
    opened = far.submit(spec_of(tmp_path / "out", retries=0), new_items(1))
    far.take(opened.number)
    for number in range(outcomes.MOST_MISSED + 1):
        assert 1 == len(far.claim()), number
        outcomes.sweep(far.database, far.driven, now=time.time() + 61)

    assert not far.claim()
    assert 1 == queries.find_run(far.database, opened.id).counts.failed


def test_a_second_word_of_a_part_leaves_what_the_first_has_brought(
    hand: Hand, tmp_path: Path
) -> None:
    """Every message may come twice: the part's files wait for the merge all the same."""
    opened = hand.submit(spec_of(tmp_path / "out", splits=True), new_items(1))
    hand.take(opened.number)
    (split,) = hand.claim()
    hand.conclude(done(split, result=[1, 2]))
    one, two = hand.claim()
    first = done(one, outputs=hand.stage(one, {"a": b"1"}), result=1)

    both = hand.conclude(first, first)
    later = hand.conclude(first)

    assert [one.id] == [outcome.task for outcome in both.refused]
    assert [] == both.discard + later.discard
    hand.conclude(of_state(OutcomeState.RETURNED)(two))


def test_a_driver_learns_of_changed_priority_and_says_what_is_the_matter(
    hand: Hand, tmp_path: Path
) -> None:
    """With the sign of life that it gives anyway."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    driven = hand.take(opened.number)
    hand.database.transact(lambda connection: connection.execute(runs.update().values(priority=7)))

    assert driving.keep(hand.database, driven, hand.grip, now=time.time(), note="No broker.")
    assert (7, "No broker.") == (
        driven.priority,
        queries.find_run(hand.database, opened.id).note,
    )
    assert driving.keep(hand.database, driven, hand.grip, now=time.time())
    assert "No broker." == queries.find_run(hand.database, opened.id).note


def test_a_run_that_is_let_go_in_peace_waits(far: Hand, tmp_path: Path) -> None:
    """With its work going on, as much as without."""
    opened = far.submit(spec_of(tmp_path / "out"), new_items(1))
    far.take(opened.number)
    far.claim()
    driving.let_go(far.database, far.driven, far.grip, going_on=True)

    run = queries.find_run(far.database, opened.id)
    assert (RunState.WAITING, None) == (run.state, run.driver)


def test_a_runs_needs_reach_its_tasks(hand: Hand, tmp_path: Path) -> None:
    """What was asked for at the submission stands in the job that workers are told."""
    needs = Needs(cores=4, memory_bytes=16 << 30, labels=("ssd",))
    opened = hand.submit(spec_of(tmp_path / "out", needs=needs), new_items(1))

    assert needs == hand.take(opened.number).job.needs


def test_a_driver_that_ended_without_a_word_keeps_nobody_waiting(
    hand: Hand, tmp_path: Path
) -> None:
    """Where the database was away at its end, its own process knows, and may go on at once."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)
    with at_work(hand.grip.driver), pytest.raises(RunBusy):
        Hand(hand.database, tmp_path).take(opened.number)

    Hand(hand.database, tmp_path).take(opened.number)


def test_drivers_of_long_ago_are_forgotten() -> None:
    """A process that drives runs for months remembers the latest alone."""
    for _ in range(driver.MOST_GONE + 10):
        with at_work(this_driver()):
            pass

    assert driver.MOST_GONE == len(driver._gone)


def test_a_clock_that_is_set_back_costs_no_lease(
    far: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is given out after that is kept, for as long as workers may have it."""
    clock = [time.time()]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    opened = far.submit(spec_of(tmp_path / "out"), new_items(2))
    far.take(opened.number)
    # Nobody is there: what is out counts as alive until somebody can be heard.
    engine = make_engine("amqp://127.0.0.1:1/", run=opened.id, site="site", lease_seconds=60.0)
    dispatcher = Dispatcher(far.database, engine, far.driven, far.grip, lambda _: None)
    with closing(engine):
        dispatcher._beat()
        clock[0] -= 3600.0
        dispatcher._beat()
        [task] = far.claim(1)
        engine.adopt([task])
        for _ in range(5):
            clock[0] += 20.0
            dispatcher._beat()

    assert [task.id] == list(far.driven.flying)


def test_nothing_waits_for_a_clock_that_was_set_back(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be tried again is, though it was told to wait until then."""
    opened = hand.submit(spec_of(tmp_path / "out"), new_items(1))
    hand.take(opened.number)
    [task] = hand.claim()
    hand.conclude(failed(task))
    failed_at = time.time()

    monkeypatch.setattr(time, "time", lambda: failed_at - 30.0)
    assert [] == hand.claim()
    monkeypatch.setattr(time, "time", lambda: failed_at - 3600.0)
    assert [task.id] == [one.id for one in hand.claim()]
