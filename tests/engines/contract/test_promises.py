"""What every engine promises, whatever is between it and its workers."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from pathlib import Path

import pytest

from grange.core.ids import new_id
from grange.core.tasks import Batch, OutcomeState, staging_token
from tests.engines.contract.rigs import ContractRig, GatedTask, gone
from tests.engines.rig import is_alive, states, wait_for


def test_a_task_comes_back_with_its_answer(rig: ContractRig) -> None:
    """The result, the attempt that it is of, who did it and how long that took."""
    engine = rig.make()
    task = rig.task(
        "import time; time.sleep(0.05); work.count('seen', 2); result = [part.item.path]"
    )

    outcome = rig.do(engine, [task])[task.id]

    assert (OutcomeState.DONE, [task.path]) == (outcome.state, outcome.result)
    assert (task.id, {"seen": 2.0}) == (outcome.task, outcome.counts)
    assert hashlib.sha256((rig.inputs / task.path).read_bytes()).hexdigest() == outcome.sha256
    assert 0.05 <= outcome.seconds < 10
    assert outcome.worker


def test_thousands_come_back_once_each(rig: ContractRig) -> None:
    """A large batch of short tasks: none is missing, none comes twice."""
    engine = rig.make(workers=2)
    rig.do(engine, rig.many(50))  # so that it knows how short they are
    tasks = rig.many(3000)

    outcomes = rig.do(engine, tasks)

    assert {task.id for task in tasks} == set(outcomes)
    assert {OutcomeState.DONE} == states(outcomes.values())
    rig.silence(engine, 0.2)


def test_batches_of_one_come_back_too(rig: ContractRig) -> None:
    """Each task handed over by itself, one after another and while others are out."""
    engine = rig.make(workers=2)
    engine.start()
    tasks = rig.many(30)

    for task in tasks:
        engine.publish(Batch(rig.job(), (task,)))
    outcomes = rig.finish(engine, tasks)

    assert {OutcomeState.DONE} == states(outcomes.values())


def test_outputs_are_staged_and_told(rig: ContractRig) -> None:
    """Path, size and digest of each file, which lies under the attempt's own token."""
    engine = rig.make()
    task = rig.task(
        "(work.output / 'deep').mkdir(); (work.output / 'deep' / 'a').write_text('hey')"
    )

    outcome = rig.do(engine, [task])[task.id]

    (output,) = outcome.outputs
    assert ("deep/a", 3) == (output.path, output.size)
    assert hashlib.sha256(b"hey").hexdigest() == output.sha256
    token = staging_token(rig.run_id, outcome.task, outcome.epoch)
    (staged,) = rig.out.rglob(f"{token}/deep/a")
    assert "hey" == staged.read_text()


def test_a_failure_brings_its_evidence(rig: ContractRig) -> None:
    """What was raised, where, and whether trying again can help."""
    engine = rig.make()
    task = rig.task("raise ValueError('no such field')")

    outcome = rig.do(engine, [task])[task.id]

    failure = outcome.failure
    assert failure is not None
    assert (OutcomeState.FAILED, "pipeline.failed") == (outcome.state, failure.code)
    assert "no such field" in failure.message
    assert "ValueError" == failure.evidence["exception"]
    assert "no such field" in str(failure.evidence["traceback"])


def test_a_pipeline_that_is_not_there_fails_its_tasks(rig: ContractRig) -> None:
    """Nobody waits for what no worker can do."""
    engine = rig.make()
    task = rig.task()

    outcome = rig.do(engine, [task], rig.job("no-such-pipeline"))[task.id]

    assert outcome.failure is not None
    assert OutcomeState.FAILED is outcome.state
    assert "no-such-pipeline" in outcome.failure.message


def test_what_a_task_prints_is_kept(rig: ContractRig) -> None:
    """As the log of the attempt."""
    engine = rig.make()
    task = rig.task("print('field 7')")

    rig.do(engine, [task])

    assert "field 7\n" == rig.log(task, "out")


def test_tasks_of_several_runs_keep_to_their_own(rig: ContractRig) -> None:
    """Each run has an engine; its tasks are done with its parameters, and come back to it."""
    jobs = [rig.job(run=new_id(), params={"load": f"own = {number}"}) for number in range(3)]
    engines = [rig.make(workers=2, run=job.run) for job in jobs]
    tasks = [rig.many(20, "result = model['own']") for _ in jobs]

    for engine, job, some in zip(engines, jobs, tasks, strict=True):
        rig.publish(engine, some, job)
    for number, engine in enumerate(engines):
        outcomes = rig.finish(engine, tasks[number], jobs[number])
        assert {number} == {one.result for one in outcomes.values()}


def test_a_killed_worker_loses_its_task_and_no_other(rig: ContractRig) -> None:
    """SIGKILL in the middle of a batch: that attempt is lost, all others are done."""
    engine = rig.make()
    rig.do(engine, rig.many(50))
    deadly, mark = rig.blocking()
    before, after = rig.many(5), rig.many(5)
    rig.publish(engine, [*before, deadly, *after])
    came = rig.turn_until(engine, mark.exists)
    worker = int(mark.read_text().split()[0])

    os.kill(worker, signal.SIGKILL)
    told = {one.task for one in came}
    missing = [task for task in (*before, deadly, *after) if task.id not in told]
    outcomes = rig.finish(engine, missing) | {one.task: one for one in came}

    lost = outcomes.pop(deadly.id)
    assert lost.failure is not None
    assert (OutcomeState.LOST, "worker.lost") == (lost.state, lost.failure.code)
    assert "SIGKILL" in lost.failure.message
    assert {OutcomeState.DONE} == states(outcomes.values())
    assert 10 == len(outcomes)
    gone(mark)


def test_a_task_that_kills_its_worker_is_told_by_its_signal(rig: ContractRig) -> None:
    """A crash in native code names itself, with the last words of the worker."""
    engine = rig.make()
    deadly = rig.task("import ctypes; ctypes.string_at(0)")
    after = rig.task("result = 1")

    outcomes = rig.do(engine, [deadly, after])

    failure = outcomes[deadly.id].failure
    assert failure is not None
    assert OutcomeState.LOST is outcomes[deadly.id].state
    assert "SIGSEGV" == failure.evidence["signal"]
    assert "Segmentation fault" in str(failure.evidence["last_words"])
    assert 1 == outcomes[after.id].result


def test_a_task_over_its_time_ends_with_all_that_it_started(rig: ContractRig) -> None:
    """It fails as timed out; the next one is worked on."""
    engine = rig.make()
    late, mark = rig.blocking()
    after = rig.task("result = 1")

    outcomes = rig.do(engine, [late, after], rig.job(timeout_seconds=1.0))

    failure = outcomes[late.id].failure
    assert failure is not None
    assert (OutcomeState.FAILED, "task.timed_out") == (outcomes[late.id].state, failure.code)
    assert 1 == outcomes[after.id].result
    gone(mark)


def test_abandoned_work_ends_with_all_that_it_started(rig: ContractRig) -> None:
    """The running one is killed, the waiting one never begins, no outcome comes of either."""
    engine = rig.make()
    running, mark = rig.blocking()
    never = rig.folder / "never"
    waiting = rig.task(f"open({str(never)!r}, 'w').close()")
    wanted = rig.task("result = 1")
    rig.publish(engine, [running, waiting, wanted])
    came = rig.turn_until(engine, mark.exists)

    engine.abandon([running.id, waiting.id, 10**9])
    engine.abandon([running.id])
    outcomes = rig.finish(engine, [wanted]) if not came else {came[0].task: came[0]}

    gone(mark)
    assert [wanted.id] == list(outcomes)
    assert 1 == outcomes[wanted.id].result
    assert not never.exists()
    assert not {running.id, waiting.id} & set(engine.alive())
    rig.silence(engine)


def test_an_abandoned_task_can_be_given_out_again(rig: ContractRig) -> None:
    """As another attempt: only what comes of that one is told."""
    engine = rig.make()
    first = GatedTask(rig)
    rig.publish(engine, [first.task])
    rig.turn_until(engine, first.begun.exists)
    again = first.task
    engine.abandon([again.id])
    first.open()

    again.epoch += 1
    outcome = rig.do(engine, [again])[again.id]

    assert (OutcomeState.DONE, 2) == (outcome.state, outcome.epoch)
    rig.silence(engine)


def test_the_end_leaves_nothing_behind(rig: ContractRig) -> None:
    """Whatever runs is killed with all that it started; to close twice does no harm."""
    engine = rig.make(workers=2)
    one, mark = rig.blocking()
    rig.publish(engine, [one, *rig.many(20)])
    rig.turn_until(engine, mark.exists)

    rig.end(engine)
    engine.close()

    gone(mark)
    assert [] == engine.alive()
    assert [] == engine.collect(0.0)


def test_an_engine_that_never_started_can_be_closed(rig: ContractRig) -> None:
    """It holds nothing, and does nothing."""
    engine = rig.make()

    engine.close()

    assert [] == engine.alive()


def test_start_can_be_said_again(rig: ContractRig) -> None:
    """It makes no second set of workers."""
    engine = rig.make(workers=2)
    engine.start()
    rig.do(engine, rig.many(10))
    before = {view.name for view in engine.workers()}

    engine.start()
    rig.do(engine, rig.many(10))

    assert before == {view.name for view in engine.workers()}
    assert rig.shown(2, busy=0) == len(before)


def test_room_bounds_what_is_out(rig: ContractRig) -> None:
    """There is some at first; long tasks that feed everyone take all of it, until they are back."""
    engine = rig.make(workers=2)
    engine.start()
    rig.turn_until(engine, lambda: 0 < engine.room() <= 10)
    gates = [GatedTask(rig) for _ in range(8)]
    rig.publish(engine, [gate.task for gate in gates])

    rig.turn_until(engine, lambda: any(gate.begun.exists() for gate in gates))
    assert 0 == engine.room()
    for gate in gates:
        gate.open()
    rig.finish(engine, [gate.task for gate in gates])
    rig.turn_until(engine, lambda: engine.room() > 0)


def test_short_tasks_make_room_for_many(rig: ContractRig) -> None:
    """Whoever works off short tasks is given them by the hundred."""
    engine = rig.make(workers=2)

    for count in (50, 500):
        rig.do(engine, rig.many(count))

    rig.turn_until(engine, lambda: engine.room() > 20)


def test_nothing_waits_behind_a_long_task(rig: ContractRig) -> None:
    """Short tasks that were handed over with a long one are done by others meanwhile."""
    engine = rig.make(workers=2)
    rig.do(engine, rig.many(100))
    long = GatedTask(rig)
    short = rig.many(60)
    rig.publish(engine, [*short[:5], long.task, *short[5:]])

    outcomes = rig.finish(engine, short, beside={long.task.id})

    assert {OutcomeState.DONE} == states(outcomes.values())
    assert [long.task.id] == engine.alive()
    long.open()
    rig.finish(engine, [long.task])


def test_alive_names_what_is_held(rig: ContractRig) -> None:
    """From when it is handed over until it has come back, however long that takes."""
    engine = rig.make(lease_seconds=rig.shortest_lease_seconds)
    long, queued = GatedTask(rig), rig.task("result = 1")
    rig.publish(engine, [long.task, queued])
    rig.turn_until(engine, long.begun.exists)

    until = time.monotonic() + 1.5 * rig.shortest_lease_seconds
    while time.monotonic() < until:
        engine.collect(0.2)
        assert {long.task.id, queued.id} == set(engine.alive())
    long.open()
    rig.finish(engine, [long.task, queued])

    assert [] == engine.alive()


def test_views_say_what_each_worker_does(rig: ContractRig) -> None:
    """The task, since when, and how far it is; an idle one says that it has none."""
    engine = rig.make(workers=2)
    task, mark = rig.blocking()
    rig.publish(engine, [task])
    rig.turn_until(engine, mark.exists)

    rig.turn_until(engine, lambda: any(view.progress for view in engine.workers()))

    busy = [view for view in engine.workers() if view.task is not None]
    assert [(task.id, 0.25, False)] == [(one.task, one.progress, one.silent) for one in busy]
    assert 0 <= busy[0].seconds < 30
    assert rig.shown(2, busy=1) == len({view.name for view in engine.workers()})


def test_a_stopped_worker_does_not_hold_up_the_others(rig: ContractRig) -> None:
    """SIGSTOP past the lease: its task is not alive, and the rest is done without it."""
    engine = rig.make(lease_seconds=rig.shortest_lease_seconds)
    rig.do(engine, rig.many(5))
    stuck, mark = rig.blocking()
    rig.publish(engine, [stuck])
    rig.turn_until(engine, mark.exists)
    worker = int(mark.read_text().split()[0])
    os.kill(worker, signal.SIGSTOP)

    rig.turn_until(engine, lambda: stuck.id not in engine.alive())
    others = rig.many(5)
    rig.publish(engine, others)
    outcomes = rig.finish(engine, others, beside={stuck.id})

    assert {OutcomeState.DONE} == states(outcomes.values())
    if is_alive(worker):
        os.kill(worker, signal.SIGCONT)


def test_marks_of_the_rig_are_true(rig: ContractRig, tmp_path: Path) -> None:
    """The processes that a mark names live while their task does: else none of this says much."""
    engine = rig.make()
    task, mark = rig.blocking()
    rig.publish(engine, [task])
    rig.turn_until(engine, mark.exists)

    numbers = [int(word) for word in mark.read_text().split()]

    assert [True, True] == [is_alive(number) for number in numbers]
    engine.abandon([task.id])
    wait_for(lambda: not engine.collect(0.02) and not is_alive(numbers[1]))


@pytest.mark.parametrize("name", ["näme with space", "-dash", "emoji 🦌.txt"])
def test_names_of_inputs_travel_unharmed(rig: ContractRig, name: str) -> None:
    """Whatever a file is called, the worker finds it and says its name."""
    engine = rig.make()
    file = rig.inputs / name
    file.write_text("result = part.item.path")
    task = rig.task_at(file)

    assert name == rig.do(engine, [task])[task.id].result
