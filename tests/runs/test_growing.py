"""What the ledger promises of a run that grows."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, event, func, select

from grange.core.states import ItemState, RunState
from grange.core.tasks import Failure, Outcome, OutcomeState, Task
from grange.db import Database, open_database, prepare
from grange.errors import OutputInUse, RunBusy
from grange.runs import driving, growing, outcomes, queries, reopening, walking
from grange.runs.driven import Driven
from grange.runs.growing import Arrival, Grown
from grange.runs.manifest import write_manifests
from grange.runs.models import Counts, NewItem
from grange.runs.tables import attempts, items, outputs, runs, tasks
from tests.runs.ledgers import SHA, Hand, done, failed, spec_of


class GrowingHand(Hand):
    """Drives a run that grows, step by step."""

    def open(self, out: Path, **changes: object) -> Driven:
        return self.take(reopening.open_run(self.database, spec_of(out, **changes)))

    def grow(self, *arrivals: Arrival) -> Grown:
        grown = growing.grow(self.database, self.driven, self.grip, arrivals, now=time.time())
        self.tell(outcomes.known_ended(self.driven, grown.plan))
        return grown

    def finish(self, *came: Outcome) -> None:
        """Conclude and publish, and keep the counts as a dispatcher does."""
        answer = self.conclude(*came)
        self.tell(answer.ended)
        self.tell(self.publish(answer).ended)

    def tell(self, ended: list) -> None:
        counts = self.driven.counts
        good = sum(one.state is ItemState.DONE for one in ended)
        reused = sum(one.reused for one in ended)
        self.driven.counts = replace(
            counts,
            done=counts.done + good,
            failed=counts.failed + len(ended) - good,
            reused=counts.reused + reused,
        )

    def close(self) -> None:
        """Bring the run to its end as a dispatcher does, but for the report, which takes long."""
        number, now = self.driven.number, time.time()
        state = RunState.FAILED if self.driven.counts.failed else RunState.DONE
        run = queries.run_of_number(self.database, number)
        every = walking.iterate_items(self.database, number)
        write_manifests(self.driven.store, replace(run, state=state), every, {})
        driving.finish(self.database, self.driven, self.grip, state, now=now)

    def work(self, content: bytes = b"x") -> list[str]:
        """Do all that is to be done; says which items."""
        claimed = self.claim()
        self.finish(*[done(one, outputs=self.stage(one, {"a": content})) for one in claimed])
        return [one.path for one in claimed]


@pytest.fixture
def hand(database: Database, tmp_path: Path) -> GrowingHand:
    """Give a hand that drives a growing run of this ledger."""
    return GrowingHand(database, tmp_path)


def file(name: str, size: int = 10, mtime: int = 1, sha256: str | None = None) -> Arrival:
    """Give a file that has arrived."""
    return Arrival(NewItem(name, f"file:///in/{name}", size, mtime), sha256)


def test_what_arrives_is_claimed_with_what_it_is(hand: GrowingHand, tmp_path: Path) -> None:
    """An arrival has its first task at once; counts and the span of ids say that it is there."""
    hand.open(tmp_path / "out")
    first = hand.grow(file("a"), file("b", size=20))
    worked = hand.work()
    second = hand.grow(file("c"))
    run = queries.find_run(hand.database, hand.driven.id)

    assert ["a", "b"] == first.added
    assert ["b", "a"] == worked
    assert ["c"] == second.added
    assert Counts(total=3, done=2) == run.counts == hand.driven.counts
    assert 40 == run.bytes_total == hand.driven.bytes_total
    with hand.database.read() as connection:
        span = connection.execute(select(runs.c.items_first, runs.c.items_last)).one()
        ids = connection.execute(select(func.min(items.c.id), func.max(items.c.id))).one()
    assert tuple(ids) == tuple(span)
    assert ["c"] == hand.work()


def test_what_is_known_is_not_taken_again(hand: GrowingHand, tmp_path: Path) -> None:
    """Offering a file again, as after a crash, changes nothing."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    hand.work()

    again = hand.grow(file("a"))

    assert ["a"] == again.same
    assert [] == hand.claim()
    assert Counts(total=1, done=1) == queries.find_run(hand.database, hand.driven.id).counts


def test_a_touched_file_costs_nothing(hand: GrowingHand, tmp_path: Path) -> None:
    """With another date and the bytes that it had, an item stays done, and knows the new date."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    hand.work()

    touched = hand.grow(file("a", mtime=2, sha256=SHA))
    again = hand.grow(file("a", mtime=2))

    assert ["a"] == touched.same == again.same
    assert [] == hand.claim()


def test_a_replaced_file_is_new_work(hand: GrowingHand, tmp_path: Path) -> None:
    """It is one item still, without its old result until it has a new one."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    hand.work(b"old")

    grown = hand.grow(file("a", size=30, mtime=2))
    between = (tmp_path / "out" / "a").exists()
    counts = queries.find_run(hand.database, hand.driven.id).counts
    (task,) = hand.claim()
    hand.finish(done(task, outputs=hand.stage(task, {"b": b"new"})))

    assert ["a"] == grown.renewed
    assert not between
    assert Counts(total=1) == counts
    assert (30, 2) == (task.size, task.mtime_ns)
    assert ["b"] == [one.name for one in (tmp_path / "out" / "a").iterdir()]
    assert Counts(total=1, done=1) == queries.find_run(hand.database, hand.driven.id).counts
    assert 30 == queries.find_run(hand.database, hand.driven.id).bytes_total


def test_a_replaced_file_forgets_the_parts_of_the_old_one(
    hand: GrowingHand, tmp_path: Path
) -> None:
    """Three parts of the old video are none of the new one's single part."""
    hand.open(tmp_path / "out", splits=True)
    for parts, mtime in (([1, 2, 3], 1), ([4], 2)):
        hand.grow(file("a", mtime=mtime))
        (split,) = hand.claim()
        hand.finish(done(split, result=parts))
        hand.finish(*[done(one, result=one.payload) for one in hand.claim()])
        (merge,) = hand.claim()
        assert parts == [one["result"] for one in merge.payload["parts"]]
        hand.finish(done(merge))


def test_a_file_that_is_being_worked_on_waits(hand: GrowingHand, tmp_path: Path) -> None:
    """Replaced in the middle of its work, it is offered again later."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    (task,) = hand.claim()

    early = hand.grow(file("a", mtime=2))
    hand.finish(done(task))
    late = hand.grow(file("a", mtime=2))

    assert [file("a", mtime=2)] == early.put_off
    assert ["a"] == late.renewed


def test_a_failed_file_comes_again_when_it_is_touched(hand: GrowingHand, tmp_path: Path) -> None:
    """Its bytes may be what they were: whoever touches it wants another try."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    (task,) = hand.claim()
    hand.finish(failed(task, retryable=False))

    assert ["a"] == hand.grow(file("a")).same
    assert ["a"] == hand.grow(file("a", mtime=2, sha256=SHA)).renewed
    assert ["a"] == hand.work()
    assert Counts(total=1, done=1) == queries.find_run(hand.database, hand.driven.id).counts


def test_a_file_that_was_not_there_comes_again_as_it_was(hand: GrowingHand, tmp_path: Path) -> None:
    """An inbox that was unmounted in the middle costs no file."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    (task,) = hand.claim()
    failure = Failure("input.missing", "gone", retryable=False)
    hand.finish(Outcome(task.id, task.epoch, OutcomeState.FAILED, failure=failure))

    assert ["a"] == hand.grow(file("a")).renewed


def test_an_ended_run_goes_on(hand: GrowingHand, tmp_path: Path) -> None:
    """The same request finds its ended run, and all that was done in it."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    hand.work()
    first = hand.driven.id
    hand.close()

    hand.open(tmp_path / "out")
    grown = hand.grow(file("a"), file("b"))
    worked = hand.work()
    hand.close()

    assert first == hand.driven.id
    assert (["b"], ["a"]) == (grown.added, grown.same)
    assert ["b"] == worked
    run = queries.find_run(hand.database, first)
    assert (RunState.DONE, Counts(total=2, done=2)) == (run.state, run.counts)
    lines = (tmp_path / "out" / "items.jsonl").read_text().splitlines()
    assert 2 == len(lines)


def test_an_ended_run_whose_results_are_gone_is_begun_anew(
    hand: GrowingHand, tmp_path: Path
) -> None:
    """Who deletes the output folder wants results, not an account of them."""
    hand.open(tmp_path / "out")
    hand.grow(file("a"))
    hand.work()
    first = hand.driven.id
    hand.close()
    shutil.rmtree(tmp_path / "out")

    hand.open(tmp_path / "out")
    hand.grow(file("a"))

    assert first != hand.driven.id
    assert 1 == len(hand.claim())


def test_another_request_does_not_go_on_with_it(hand: GrowingHand, tmp_path: Path) -> None:
    """While a run is unfinished its place is its own; a driver that lives keeps it."""
    hand.open(tmp_path / "out")
    other = spec_of(tmp_path / "out", inputs={"inbox": ["/elsewhere"]})

    with pytest.raises(OutputInUse):
        reopening.open_run(hand.database, other)
    with pytest.raises(RunBusy):
        reopening.open_run(hand.database, spec_of(tmp_path / "out"))


def test_who_lost_the_run_adds_nothing_to_it(hand: GrowingHand, tmp_path: Path) -> None:
    """A driver that was silent for too long, and was followed by another, is told so."""
    hand.grip = replace(hand.grip, lease_seconds=-1.0)
    number = hand.open(tmp_path / "out").number
    other = GrowingHand(hand.database, tmp_path)
    other.take(number)

    with pytest.raises(RunBusy):
        hand.grow(file("a"))

    assert Counts() == queries.find_run(hand.database, hand.driven.id).counts


def test_an_arrival_costs_the_same_after_many_as_after_few(
    hand: GrowingHand, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """No statement looks through what is done: they are as many, over rows as few."""
    hand.open(tmp_path / "out")
    seen: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    request.addfinalizer(lambda: event.remove(Engine, "before_cursor_execute", note))
    hand.grow(file("first"))
    few, seen = len(seen), []
    for start in range(0, 1000, 200):
        hand.grow(*[file(f"{number}", mtime=number) for number in range(start, start + 200)])
    seen = []
    hand.grow(file("last"))

    assert few == len(seen)
    assert not [one for one in seen if "count(" in one.lower() or "sum(" in one.lower()]


NAMES = st.sampled_from(["a", "b", "c", "d/e"])


class GrowingRun(RuleBasedStateMachine):
    """Files come, change and vanish in any order; drivers die at any point; nothing gets lost."""

    folder: Path
    database: Database

    @initialize()
    def begin(self) -> None:
        with self.database.write() as connection:
            for table in (attempts, tasks, outputs, items, runs):
                connection.execute(table.delete())
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.hand = GrowingHand(self.database, self.folder)
        self.hand.open(self.folder / "out")
        self.there: dict[str, int] = {}
        self.offered: dict[str, int] = {}
        self.claimed: list[Task] = []
        self.clock = 0

    @rule(name=NAMES)
    def write(self, name: str) -> None:
        self.clock += 1
        self.there[name] = self.clock

    @rule(names=st.lists(NAMES, unique=True))
    def offer(self, names: list[str]) -> None:
        arrivals = [file(name, 10, self.there[name]) for name in names if name in self.there]
        grown = self.hand.grow(*arrivals)
        later = {one.item.path for one in grown.put_off}
        self.offered |= {
            one.item.path: one.item.mtime_ns for one in arrivals if one.item.path not in later
        }

    @rule(limit=st.integers(1, 3))
    def claim(self, limit: int) -> None:
        self.claimed += self.hand.claim(limit)

    @precondition(lambda self: self.claimed)
    @rule(good=st.booleans())
    def end(self, good: bool) -> None:
        task = self.claimed.pop()
        if good:
            said = str(task.mtime_ns).encode()
            self.hand.finish(done(task, outputs=self.hand.stage(task, {"said": said})))
        else:
            self.hand.finish(failed(task, retryable=False))

    @rule(politely=st.booleans())
    def change_driver(self, politely: bool) -> None:
        hand = self.hand
        if politely:
            driving.let_go(hand.database, hand.driven, hand.grip)
        else:
            with hand.database.write() as connection:
                connection.execute(runs.update().values(driver_until=0.0))
        self.claimed = []
        self.hand = GrowingHand(hand.database, hand.folder)
        self.hand.open(self.folder / "out")

    @precondition(lambda self: not self.hand.driven.counts.left)
    @rule()
    def end_and_go_on(self) -> None:
        before = self.hand.driven.id
        self.hand.close()
        self.hand.open(self.folder / "out")
        assert before == self.hand.driven.id

    @invariant()
    def counts_are_true(self) -> None:
        if not hasattr(self, "hand"):
            return
        with self.database.read() as connection:
            row = connection.execute(select(runs)).one()
            query = select(items.c.state, func.count(), func.sum(items.c.size))
            states = {
                state: (many, size)
                for state, many, size in connection.execute(query.group_by(items.c.state))
            }
            ids = connection.execute(select(func.min(items.c.id), func.max(items.c.id))).one()
        many = {state: count for state, (count, _) in states.items()}
        assert len(self.offered) == row.items_total == sum(many.values())
        assert many.get("done", 0) == row.items_done == self.hand.driven.counts.done
        assert many.get("failed", 0) == row.items_failed == self.hand.driven.counts.failed
        assert sum(size for _, size in states.values()) == row.bytes_total
        assert tuple(ids) == (row.items_first, row.items_last)

    def teardown(self) -> None:
        if not hasattr(self, "hand"):
            return
        hand = self.hand
        self.change_driver(politely=False)
        hand = self.hand
        while claimed := hand.claim():
            hand.finish(
                *[
                    done(one, outputs=hand.stage(one, {"said": str(one.mtime_ns).encode()}))
                    for one in claimed
                ]
            )
        assert 0 == hand.driven.counts.left
        hand.close()
        for item in walking.iterate_items(hand.database, hand.driven.number):
            place = self.folder / "out" / item.path / "said"
            said = place.read_bytes() if place.exists() else None
            wanted = str(self.offered[item.path]).encode()
            assert (wanted if item.state is ItemState.DONE else None) == said


def test_nothing_gets_lost_whatever_happens(tmp_path: Path) -> None:
    """Counts stay true; in the end each item has the result of what was last offered, or none."""
    database = open_database(f"sqlite:///{tmp_path / 'grange.db'}")
    prepare(database)
    GrowingRun.folder, GrowingRun.database = tmp_path, database

    run_state_machine_as_test(
        GrowingRun,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    database.close()
