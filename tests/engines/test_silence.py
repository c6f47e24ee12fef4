"""A worker that gives no sign of life: work goes on without it, and what it says later is heard."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from grange.core.tasks import Batch, OutcomeState
from tests.engines.rig import Rig, is_alive, pids, wait_for

FAULTY = Path(__file__).with_name("faulty_worker.py")
LEASE_SECONDS = 1.5


def test_a_stopped_worker_is_replaced_and_its_late_outcome_is_delivered(rig: Rig) -> None:
    """Stopped past its lease: silent, not alive, work goes on; when it comes back it is retired."""
    engine = rig.engine(workers=1, lease_seconds=LEASE_SECONDS)
    gate = rig.folder / "gate"
    slow = rig.task(
        f"""
        import os, time
        while not os.path.exists({str(gate)!r}):
            time.sleep(0.01)
        result = "late"
        """
    )
    engine.start()
    engine.publish(Batch(rig.job(), (slow,)))
    rig.turn_until(engine, lambda: engine.workers()[0].task == slow.id)
    assert [slow.id] == engine.alive()
    (stopped,) = pids(engine)
    os.kill(stopped, signal.SIGSTOP)

    rig.turn_until(engine, lambda: any(view.silent for view in engine.workers()))
    assert [] == engine.alive()
    assert [(slow.id, True)] == [(one.task, one.silent) for one in engine.workers() if one.silent]
    assert rig.run_one(engine, rig.task("result = 1")).result == 1

    gate.touch()
    os.kill(stopped, signal.SIGCONT)
    late = rig.wait(engine, {slow.id})[slow.id]

    assert (OutcomeState.DONE, "late", slow.epoch) == (late.state, late.result, late.epoch)
    wait_for(lambda: not is_alive(stopped))
    rig.turn_until(engine, lambda: stopped not in pids(engine))
    assert len(pids(engine)) == 1
    assert rig.run_one(engine, rig.task("result = 2")).result == 2


def test_what_a_silent_worker_had_not_begun_comes_back(rig: Rig) -> None:
    """Others may have those tasks by now, so the engine does not give them out again itself."""
    engine = rig.engine(workers=1, lease_seconds=LEASE_SECONDS)
    rig.warm_up(engine)
    (stopped,) = pids(engine)
    os.kill(stopped, signal.SIGSTOP)
    tasks = [rig.task("import time; time.sleep(0.2); result = 1") for _ in range(3)]
    engine.publish(Batch(rig.job(), tuple(tasks)))
    rig.turn_until(engine, lambda: len(pids(engine)) > 1)

    os.kill(stopped, signal.SIGCONT)
    outcomes = rig.wait(engine, {task.id for task in tasks})

    assert outcomes[tasks[0].id].state is OutcomeState.DONE
    assert {outcomes[task.id].state for task in tasks[1:]} == {OutcomeState.RETURNED}
    assert not is_alive(stopped)


def test_a_worker_that_stays_silent_is_killed(rig: Rig) -> None:
    """After some more leases; its task is lost then, and the words say why."""
    engine = rig.engine(workers=1, lease_seconds=1.0)
    task = rig.task("import time; time.sleep(60)")
    engine.start()
    engine.publish(Batch(rig.job(), (task,)))
    rig.turn_until(engine, lambda: engine.workers()[0].task == task.id)
    (stopped,) = pids(engine)

    os.kill(stopped, signal.SIGSTOP)
    lost = rig.wait(engine, {task.id})[task.id]

    assert lost.failure is not None
    assert lost.state is OutcomeState.LOST
    assert "no sign of life" in lost.failure.message
    assert float(str(lost.failure.evidence["silent_seconds"])) >= 3
    assert not is_alive(stopped)


def test_a_worker_without_a_pulse_is_as_good_as_stopped(rig: Rig) -> None:
    """Beats come from a thread: without it the worker is replaced like a stopped one."""
    command = [sys.executable, str(FAULTY), "without_pulse", str(rig.folder / "mark")]
    engine = rig.engine(workers=1, lease_seconds=1.0, command=command)
    rig.start(engine)

    rig.turn_until(engine, lambda: len({*pids(engine)}) > 0 and engine.workers()[0].name != "w1")

    assert rig.run_one(engine, rig.task("result = 1")).result == 1


@pytest.mark.parametrize(
    "work",
    [
        "while time.monotonic() < begun + 4: pass",
        # It keeps the interpreter's lock for as long as it computes.
        "pow(7, 3**70, 2**200_000 + 1)",
        "time.sleep(4)",
    ],
    ids=["computing", "native", "waiting"],
)
def test_a_long_task_is_no_silence(rig: Rig, work: str) -> None:
    """Whatever a task does for longer than a lease, it is left to end."""
    engine = rig.engine(workers=1, lease_seconds=1.0)
    script = f"""
    import time
    begun = time.monotonic()
    {work}
    result = model["pid"]
    """

    outcome = rig.run_one(engine, rig.task(script))

    assert [outcome.result] == pids(engine)
