"""Whatever happens between a ledger and its workers, each input is done once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from grange.core.tasks import OutcomeState
from grange.db import open_database
from tests import fresh
from tests.engines.contract.history import Deed, faults_in
from tests.engines.contract.ledgered import (
    LEAVE_A_FILE,
    Carrier,
    Late,
    LedgeredRun,
    Shuffled,
    Twice,
    never,
)
from tests.engines.contract.rigs import ContractRig, GatedTask, gone
from tests.runs.ledgers import Hand


@pytest.fixture
def hand(rig: ContractRig, tmp_path: Path) -> Iterator[Hand]:
    """Lend a hand over a real ledger, whose leases are short."""
    fresh.put(tmp_path / "grange.db")
    with contextlib.closing(open_database(tmp_path / "grange.db")) as database:
        yield Hand(database, rig.folder, lease_seconds=rig.shortest_lease_seconds)


@pytest.mark.parametrize(
    "carrier",
    [lambda _: Twice(), Late, lambda _: never, lambda _: Shuffled(7)],
    ids=["twice", "late", "never", "out of order"],
)
def test_each_input_is_done_once_however_outcomes_travel(
    rig: ContractRig, hand: Hand, carrier: Callable[[float], Carrier]
) -> None:
    """Outcomes come twice, late, never or out of order: every output is there, whole and once."""
    run = LedgeredRun(rig, hand, [LEAVE_A_FILE] * 40)
    engine = rig.make(workers=2)
    run.carry = carrier(rig.shortest_lease_seconds)

    run.finish(engine)

    assert {"done"} == run.states()
    assert run.expected() == run.published()
    assert [] == faults_in(run.history())


def test_workers_that_die_bring_nothing_twice(rig: ContractRig, hand: Hand) -> None:
    """Each fifth input kills its worker at the first try: it is tried again, the others are not."""
    deadly = f"""
    import os, signal
    mark = {str(rig.folder)!r} + "/tried-" + part.item.path
    if not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    {LEAVE_A_FILE}
    """
    run = LedgeredRun(rig, hand, [deadly if n % 5 == 0 else LEAVE_A_FILE for n in range(30)])
    engine = rig.make(workers=2)

    run.finish(engine)

    history = run.history()
    assert run.expected() == run.published()
    assert [] == faults_in(history)
    taken = [event.state for event in history if event.deed is Deed.TAKEN]
    assert (6, 30) == (taken.count("lost"), taken.count("done"))


def test_an_input_that_always_kills_its_worker_fails_in_the_end(
    rig: ContractRig, hand: Hand
) -> None:
    """After as many tries as the run allows; what else there is, is done."""
    poison = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    run = LedgeredRun(rig, hand, [poison, *[LEAVE_A_FILE] * 10], retries=1)
    engine = rig.make(workers=2)

    run.finish(engine)

    history = run.history()
    assert [] == faults_in(history)
    ends = sorted(event.state for event in history if event.deed is Deed.ENDED)
    assert [*["done"] * 10, "failed"] == ends
    assert 10 == len(run.published())


STEPS = ["claimed", "handed over", "begun", "come back", "concluded"]


@pytest.mark.parametrize("step", STEPS)
def test_a_run_can_be_cancelled_at_each_step(rig: ContractRig, hand: Hand, step: str) -> None:
    """Nothing is begun, taken or published after; only what was taken before counts."""
    gate = GatedTask(rig)
    script = (rig.inputs / gate.task.path).read_text() + LEAVE_A_FILE
    run = LedgeredRun(rig, hand, [script])
    engine = rig.make()
    went = STEPS[: STEPS.index(step) + 1]

    given = run.claim()
    came = []
    if "handed over" in went:
        run.hand_over(engine, given)
    if "begun" in went:
        rig.turn_until(engine, gate.begun.exists)
    if "come back" in went:
        gate.open()
        came = rig.turn_until(engine, lambda: not engine.alive()) or engine.collect(5)
    if "concluded" in went:
        run.conclude(came)
    run.cancel(engine)
    if step == "come back":
        run.conclude(came)
    gate.open()
    run.conclude(engine.collect(0.5))

    done = step == "concluded"
    assert {"done" if done else "cancelled"} == run.states()
    assert int(done) == len(run.published())
    assert [] == faults_in(run.history())
    assert [] == engine.alive()


def test_cancelled_work_is_killed(rig: ContractRig, hand: Hand) -> None:
    """With all that it started, and its worker does other work then."""
    task, mark = rig.blocking()
    run = LedgeredRun(rig, hand, [(rig.inputs / task.path).read_text()])
    engine = rig.make()
    run.hand_over(engine, run.claim())
    rig.turn_until(engine, mark.exists)

    run.cancel(engine)

    gone(mark)
    after = rig.task("result = 1")
    assert OutcomeState.DONE is rig.do(engine, [after])[after.id].state
    assert [] == faults_in(run.history())
