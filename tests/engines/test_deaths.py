"""A worker may die at any moment: what it was at is lost, and nothing else is."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from grange.core.tasks import Batch, Outcome, OutcomeState
from grange.engines.local import LocalEngine
from tests.engines.rig import Rig, is_alive, pids, states, wait_for

FAULTY = Path(__file__).with_name("faulty_worker.py")


def test_only_the_task_at_hand_is_lost(rig: Rig) -> None:
    """A worker is killed in the middle of a batch; another one does the rest."""
    engine = rig.engine(workers=1)
    rig.warm_up(engine)
    (victim,) = pids(engine)
    before = [rig.task("result = 1") for _ in range(5)]
    deadly = rig.task("import time; print('a word', flush=True); time.sleep(60)")
    after = [rig.task('result = model["pid"]') for _ in range(5)]
    engine.publish(Batch(rig.job(), (*before, deadly, *after)))
    came = rig.turn_until(engine, lambda: engine.workers()[0].task == deadly.id)

    os.kill(victim, signal.SIGKILL)
    missing = {task.id for task in (*before, deadly, *after)} - {one.task for one in came}
    outcomes = rig.wait(engine, missing)

    lost = outcomes[deadly.id]
    assert lost.failure is not None
    assert (OutcomeState.LOST, "worker.lost") == (lost.state, lost.failure.code)
    assert "SIGKILL" in lost.failure.message
    assert lost.failure.evidence["signal"] == "SIGKILL"
    assert "a word\n" == rig.log(deadly, "out")
    assert {tuple(pids(engine))} == {(outcomes[task.id].result,) for task in after}
    assert victim not in pids(engine)


@pytest.mark.parametrize(
    ("script", "evidence", "words"),
    [
        ("import os; os._exit(7)", {"exit_code": 7}, "exit code 7"),
        ("import ctypes; ctypes.string_at(0)", {"signal": "SIGSEGV"}, "SIGSEGV"),
        ("import os; os.kill(0, 15)", {"signal": "SIGTERM"}, "SIGTERM"),
    ],
    ids=["exit", "segfault", "signal"],
)
def test_a_task_that_ends_its_worker_is_lost(
    rig: Rig, script: str, evidence: dict[str, object], words: str
) -> None:
    """The outcome says how, and what the task had printed before."""
    engine = rig.engine(workers=1)
    quiet = rig.task("import sys; print('of another task', file=sys.stderr)")
    deadly = rig.task(f"import sys; print('now it ends', file=sys.stderr); {script}")

    outcomes = rig.run(engine, [quiet, deadly])

    failure = outcomes[deadly.id].failure
    assert failure is not None
    assert outcomes[deadly.id].state is OutcomeState.LOST
    assert words in failure.message
    assert evidence == {name: failure.evidence[name] for name in evidence}
    said = str(failure.evidence["last_words"])
    assert said.startswith("now it ends")
    assert ("Segmentation fault" in said) == ("SIGSEGV" in words)
    assert rig.log(deadly, "err").strip() == said
    assert rig.log(quiet, "err") == "of another task\n"


def test_an_idle_worker_that_dies_is_replaced(rig: Rig) -> None:
    """Nothing is lost with it, and how often that happens does not matter."""
    engine = rig.engine(workers=1)
    for _ in range(4):
        rig.start(engine)
        (victim,) = pids(engine)
        os.kill(victim, signal.SIGKILL)
        rig.turn_until(engine, partial(_is_replaced, engine, victim))

    assert rig.run_one(engine, rig.task("result = 1")).result == 1


def _is_replaced(engine: LocalEngine, victim: int) -> bool:
    return pids(engine) not in ([], [victim])


@pytest.mark.parametrize(
    "fault",
    [
        "before_ready",
        "instead_of_ready",
        "with_a_batch_unread",
        "with_a_batch_read",
        "with_nonsense",
    ],
)
def test_a_death_outside_of_tasks_loses_none(rig: Rig, fault: str) -> None:
    """What the worker held goes to another one, and no input is to blame."""
    command = [sys.executable, str(FAULTY), fault, str(rig.folder / "mark")]
    engine = rig.engine(workers=1, command=command)
    tasks = [rig.task("result = 1") for _ in range(3)]

    outcomes = rig.run(engine, tasks)

    assert states(outcomes.values()) == {OutcomeState.DONE}
    assert (rig.folder / "mark").exists()


def test_a_death_while_telling_is_laid_to_what_was_told(rig: Rig) -> None:
    """Half a message tells nothing; an outcome that kills its worker must not do so forever."""
    command = [sys.executable, str(FAULTY), "within_a_message", str(rig.folder / "mark")]
    engine = rig.engine(workers=1, command=command)
    tasks = [rig.task("result = 1") for _ in range(3)]

    outcomes = rig.run(engine, tasks)

    ends = [outcomes[task.id].state for task in tasks]
    assert [OutcomeState.LOST, OutcomeState.DONE, OutcomeState.DONE] == ends


def test_what_was_told_before_a_death_counts(rig: Rig) -> None:
    """An outcome that was sent is not lost, nor is its task done again."""
    command = [sys.executable, str(FAULTY), "after_a_message", str(rig.folder / "mark")]
    engine = rig.engine(workers=1, command=command)
    task = rig.task(f"open({str(rig.folder / 'runs')!r}, 'a').write('x')")
    engine.start()
    engine.publish(Batch(rig.job(), (task,)))
    (worker,) = engine._fleet
    came = rig.turn_until(engine, lambda: worker._batches)
    wait_for(lambda: not is_alive(worker.process.pid))

    (outcome,) = came or rig.wait(engine, {task.id}).values()

    assert outcome.state is OutcomeState.DONE
    assert (rig.folder / "runs").read_text() == "x"
    assert rig.run_one(engine, rig.task("result = 1")).result == 1


def test_whatever_dies_whenever_each_task_ends_once_and_never_twice_at_once(rig: Rig) -> None:
    """Workers are killed at random moments while short and long tasks run."""
    engine = rig.engine(workers=3)
    script = f"""
    import fcntl, os, time
    file = open({str(rig.folder)!r} + "/lock-" + part.item.path, "a")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    time.sleep(%s)
    file.write("x")
    file.flush()
    """
    # The seed only makes the mixture what it is; moments differ in each run.
    chance = random.Random(1)
    tasks = [rig.task(script % chance.choice([0, 0, 0.001, 0.02])) for _ in range(400)]
    rig.start(engine)
    engine.publish(Batch(rig.job(), tuple(tasks)))
    outcomes: dict[int, Outcome] = {}
    kills, next_kill = 0, time.monotonic()
    while len(outcomes) < len(tasks):
        for outcome in engine.collect(0.01):
            assert outcome.task not in outcomes
            outcomes[outcome.task] = outcome
        ready = [worker.process.pid for worker in engine._fleet if worker.ready]
        if ready and kills < 12 and time.monotonic() >= next_kill:
            os.kill(chance.choice(ready), signal.SIGKILL)
            kills += 1
            next_kill = time.monotonic() + chance.uniform(0, 0.2)

    ends = [outcome.state for outcome in outcomes.values()]
    assert states(outcomes.values()) <= {OutcomeState.DONE, OutcomeState.LOST}, [
        one.failure for one in outcomes.values() if one.state is OutcomeState.FAILED
    ]
    assert ends.count(OutcomeState.LOST) <= kills
    done = [task for task in tasks if outcomes[task.id].state is OutcomeState.DONE]
    assert all((rig.folder / f"lock-{task.path}").read_text() for task in done)


def test_memory_that_grew_recycles_the_worker(rig: Rig) -> None:
    """None is lost or done twice, and fresh workers go on, even if the old ones would stay."""
    engine = rig.engine(workers=1, recycle_bytes=30 << 20)
    script = f"""
    import threading, time
    if model["processed"] == 1:
        threading.Thread(target=time.sleep, args=(300,)).start()
    model.setdefault("hoard", []).append(bytearray(2 << 20))
    open({str(rig.folder / "runs-")!r} + part.item.path, "a").write("x")
    time.sleep(0.01)
    result = model["pid"]
    """
    tasks = [rig.task(script) for _ in range(120)]

    outcomes = rig.run(engine, tasks)

    assert states(outcomes.values()) == {OutcomeState.DONE}
    assert {(rig.folder / f"runs-{task.path}").read_text() for task in tasks} == {"x"}
    workers = {outcome.result for outcome in outcomes.values()}
    assert len(workers) > 1
    assert [pid for pid in workers if is_alive(pid)] in ([], pids(engine))


def test_restarted_workers_leak_no_descriptors(rig: Rig) -> None:
    """However often workers are replaced, the engine's process holds no more than at first."""
    engine = rig.engine(workers=2)
    rig.run(engine, [rig.task() for _ in range(10)])
    rig.start(engine)
    before = len(os.listdir("/proc/self/fd"))

    outcomes = rig.run(engine, [rig.task("import os; os._exit(1)") for _ in range(12)])

    rig.start(engine)
    assert states(outcomes.values()) == {OutcomeState.LOST}
    assert len(os.listdir("/proc/self/fd")) == before
