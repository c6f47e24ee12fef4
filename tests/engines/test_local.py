"""The engine of one machine gives tasks to real worker processes and brings outcomes back."""

from __future__ import annotations

import time

import pytest

from grange.core.tasks import Batch, OutcomeState
from grange.engines import make_engine
from grange.engines.local import CARE_SECONDS
from grange.errors import EngineError, WorkerStartFailed
from tests.engines.rig import Rig, is_alive, pids, states, wait_for


def test_every_task_comes_back_once(rig: Rig) -> None:
    """A thousand tasks over three workers: a thousand outcomes, each with its own result."""
    engine = rig.engine(workers=3)
    tasks = [rig.task(f"result = {number}") for number in range(1000)]
    rig.start(engine)

    outcomes = rig.run(engine, tasks)

    assert states(outcomes.values()) == {OutcomeState.DONE}
    assert list(range(1000)) == [outcomes[task.id].result for task in tasks]
    assert len({outcome.worker for outcome in outcomes.values()}) == 3


def test_a_model_is_loaded_once_per_worker(rig: Rig) -> None:
    """All tasks of a worker share what `load` returned."""
    engine = rig.engine(workers=2)
    tasks = [rig.task('result = [model["pid"], model["processed"], id(model)]') for _ in range(60)]
    rig.start(engine)

    results = [one.result for one in rig.run(engine, tasks).values()]

    models = {(pid, model) for pid, _, model in results}
    assert {pid for pid, _ in models} == set(pids(engine))
    assert len(models) == 2
    assert len(tasks) == sum(
        max(processed for pid, processed, _ in results if pid == one) for one, _ in models
    )


def test_workers_get_no_variable_that_is_withheld(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is the engine's but for secrets, which no code of the worker's can read."""
    monkeypatch.setenv("SECRET", "swordfish")
    monkeypatch.setenv("FIELD", "barley")
    engine = rig.engine(withheld={"SECRET"})
    rig.start(engine)
    task = rig.task("import os; result = [os.environ.get('FIELD'), os.environ.get('SECRET')]")

    outcome = rig.run(engine, [task])[task.id]

    assert ["barley", None] == outcome.result


def test_workers_keep_what_threads_have_freed_in_few_arenas(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So their memory does not grow with every thread that a pipeline begins."""
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    engine = rig.engine()
    rig.start(engine)
    task = rig.task("import os; result = os.environ.get('MALLOC_ARENA_MAX')")

    outcome = rig.run(engine, [task])[task.id]

    assert "2" == outcome.result


def test_short_tasks_travel_together(rig: Rig) -> None:
    """An engine wants few tasks as long as it does not know them, and many short ones then."""
    engine = rig.engine(workers=2)
    engine.start()
    before = engine.room()

    rig.warm_up(engine)

    assert before <= 4
    assert engine.room() > 100


def test_nothing_waits_behind_a_long_task(rig: Rig) -> None:
    """Short tasks that were sent behind a long one go to the other worker, and come back."""
    engine = rig.engine(workers=2)
    rig.warm_up(engine)
    long = rig.task("import time; time.sleep(60)")
    short = [rig.task("result = 1") for _ in range(60)]
    engine.publish(Batch(rig.job(), (*short[:5], long, *short[5:])))

    begun = time.monotonic()
    outcomes = rig.wait(engine, {task.id for task in short})

    assert states(outcomes.values()) == {OutcomeState.DONE}
    assert time.monotonic() - begun < 15
    assert [long.id] == [view.task for view in engine.workers() if view.task is not None]
    assert long.id in engine.alive()


def test_a_worker_that_gave_tasks_back_gets_new_ones(rig: Rig) -> None:
    """After its long task a worker takes part again."""
    engine = rig.engine(workers=1)
    rig.warm_up(engine)
    tasks = [rig.task("import time; time.sleep(3)"), *(rig.task("result = 1") for _ in range(30))]

    first = rig.run(engine, tasks)
    again = rig.run(engine, [rig.task() for _ in range(30)])

    assert states([*first.values(), *again.values()]) == {OutcomeState.DONE}
    assert len({one.worker for one in [*first.values(), *again.values()]}) == 1


def test_views_say_what_each_worker_does(rig: Rig) -> None:
    """The task, since when, and how far it is, without any message."""
    engine = rig.engine(workers=2)
    task = rig.task("import time; work.progress(0.5); time.sleep(60)")
    engine.start()
    engine.publish(Batch(rig.job(), (task,)))

    rig.turn_until(engine, lambda: any(view.progress for view in engine.workers()))

    busy = [view for view in engine.workers() if view.task is not None]
    idle = [view for view in engine.workers() if view.task is None]
    assert [(task.id, 0.5, False)] == [(one.task, one.progress, one.silent) for one in busy]
    assert busy[0].seconds < 30
    assert [(None, False)] == [(one.progress, one.silent) for one in idle]


def test_abandoned_tasks_are_stopped_and_forgotten(rig: Rig) -> None:
    """The running one is killed, the queued one never begins, and the others come back."""
    engine = rig.engine(workers=1)
    mark = rig.folder / "begun"
    running = rig.task(f"open({str(mark)!r}, 'w').close(); import time; time.sleep(60)")
    queued = rig.task(f"open({str(mark)!r} + '2', 'w').close()")
    wanted = rig.task("result = 1")
    engine.start()
    engine.publish(Batch(rig.job(), (running, queued, wanted)))
    rig.turn_until(engine, mark.exists)
    before = pids(engine)

    engine.abandon([running.id, queued.id, 10**9])
    engine.abandon([running.id])

    assert not any(is_alive(pid) for pid in before)
    assert rig.wait(engine, {wanted.id})[wanted.id].result == 1
    assert not mark.with_name("begun2").exists()
    assert [] == engine.collect(0.3)


def test_abandoning_part_of_a_batch_spares_the_rest(rig: Rig) -> None:
    """Tasks that a worker holds and has not begun are forgotten without its death."""
    engine = rig.engine(workers=1)
    rig.warm_up(engine)
    gate = rig.folder / "gate"
    first = rig.task(
        f"""
        import os, time
        while not os.path.exists({str(gate)!r}):
            time.sleep(0.01)
        """
    )
    rest = [
        rig.task(f"open({str(rig.folder / 'ran-')!r} + part.item.path, 'w')") for _ in range(20)
    ]
    engine.publish(Batch(rig.job(), (first, *rest)))
    before = pids(engine)
    rig.turn_until(engine, lambda: engine.workers()[0].task == first.id)

    unwanted = [task.id for task in rest[::2]]
    engine.abandon(unwanted)
    gate.touch()
    outcomes = rig.wait(engine, {first.id, *(task.id for task in rest[1::2])})

    assert states(outcomes.values()) == {OutcomeState.DONE}
    assert before == pids(engine)
    assert not [task for task in rest[::2] if (rig.folder / f"ran-{task.path}").exists()]


def test_a_task_abandoned_before_it_was_begun_can_be_given_to_the_same_worker(rig: Rig) -> None:
    """As another attempt, which that worker is not killed for: its outcome comes."""
    engine = rig.engine(workers=1)
    rig.warm_up(engine)
    gate, begun = rig.folder / "gate", rig.folder / "begun"
    until_open = f"""
        import os, time
        open({str(begun)!r} + part.item.path, "w").close()
        while not os.path.exists({str(gate)!r}):
            time.sleep(0.01)
        """
    first, again = rig.task(until_open), rig.task(until_open)
    engine.publish(Batch(rig.job(), (first, again)))
    rig.turn_until(engine, rig.folder.joinpath(f"begun{first.path}").exists)
    before = pids(engine)
    engine.abandon([again.id])
    gate.touch()
    rig.wait(engine, {first.id})

    gate.unlink()
    again.epoch += 1
    engine.publish(Batch(rig.job(), (again,)))
    rig.turn_until(engine, rig.folder.joinpath(f"begun{again.path}").exists)
    # Long enough to be looked at.
    assert [] == engine.collect(3 * CARE_SECONDS)
    gate.touch()

    outcome = rig.wait(engine, {again.id})[again.id]
    assert (OutcomeState.DONE, 2) == (outcome.state, outcome.epoch)
    assert before == pids(engine)


def test_a_task_over_its_time_is_killed_with_all_it_started(rig: Rig) -> None:
    """Also what it has started in sessions of their own; the next task is worked on."""
    engine = rig.engine(workers=1)
    pid_file = rig.folder / "pid"
    task = rig.task(
        f"""
        import subprocess, sys, time
        print("what it said last", file=sys.stderr)
        child = subprocess.Popen(["sleep", "300"], start_new_session=True)
        open({str(pid_file)!r}, "w").write(str(child.pid))
        time.sleep(300)
        """
    )
    after = rig.task("result = 1")

    outcomes = rig.run(engine, [task, after], rig.job(timeout_seconds=0.5))

    failure = outcomes[task.id].failure
    assert failure is not None
    assert (OutcomeState.FAILED, "task.timed_out") == (outcomes[task.id].state, failure.code)
    assert failure.retryable
    assert failure.evidence["last_words"] == "what it said last"
    assert rig.log(task, "err") == "what it said last\n"
    assert 0.5 < outcomes[task.id].seconds < 10
    assert outcomes[after.id].result == 1
    wait_for(lambda: not is_alive(int(pid_file.read_text())), seconds=3)


def test_an_unknown_engine_is_refused() -> None:
    """The error names those that there are."""
    with pytest.raises(EngineError, match="local"):
        make_engine("remote")


def test_a_worker_that_cannot_be_executed_is_told_at_once(rig: Rig) -> None:
    """The program is not there: nothing is waited for."""
    engine = rig.engine(command=["/nowhere/python"])

    with pytest.raises(WorkerStartFailed, match="/nowhere/python"):
        engine.start()


def test_workers_that_never_work_are_given_up(rig: Rig) -> None:
    """After a few tries, with the last words of the last one."""
    engine = rig.engine(workers=2, command=["/bin/sh", "-c", "echo no python here >&2; exit 3"])
    engine.start()
    engine.publish(Batch(rig.job(), (rig.task(),)))

    with pytest.raises(WorkerStartFailed, match=r"(?s)exit code 3.*no python here"):
        rig.turn_until(engine, lambda: False)


def test_workers_that_end_well_without_work_are_given_up_too(rig: Rig) -> None:
    """An exit code of 0 is no sign of success."""
    engine = rig.engine(command=["/bin/true"])
    engine.start()

    with pytest.raises(WorkerStartFailed, match="exit code 0"):
        rig.turn_until(engine, lambda: False)
