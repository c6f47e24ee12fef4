"""Two engines as one: copies and reports are made here, all else elsewhere."""

from __future__ import annotations

from grange.core.tasks import Batch, Outcome, OutcomeState, TaskKind
from grange.engines import make_engine
from grange.engines.base import HERE, Holder
from grange.engines.local import LocalEngine
from tests.engines.rig import Rig


def names(engine: LocalEngine) -> set[str]:
    """Give the names of the engine's workers."""
    return {worker.name for worker in engine.workers()}


def test_each_task_goes_to_its_side_and_all_come_back(rig: Rig) -> None:
    """Whatever comes of them: who was at it tells where it was done."""
    near, far = rig.engine(), rig.engine()
    engine = make_engine("housed", near, far)
    kinds = [TaskKind.PROCESS, TaskKind.COPY, TaskKind.REPORT, TaskKind.PROCESS]
    tasks = [rig.task("result = 1", kind=kind) for kind in kinds]

    came = rig.run(engine, tasks)

    for task in tasks:
        here = task.kind in {TaskKind.COPY, TaskKind.REPORT}
        assert came[task.id].worker in names(near if here else far)
    assert not engine.alive()


def test_what_is_done_here_is_told_as_nobodys_elsewhere(rig: Rig) -> None:
    """No worker of another machine may pass for the one that copies or reports."""
    engine = make_engine("housed", rig.engine(), rig.engine())
    copy = rig.task("result = 1", kind=TaskKind.COPY)

    engine.publish(Batch(rig.job(), (copy, rig.task("result = 1"))))

    assert [Holder(copy.id, copy.epoch, HERE)] == list(engine.holders())
    assert [] == list(engine.holders())


def test_here_no_worker_is_started_before_there_is_something_for_it(rig: Rig) -> None:
    """Most runs have neither copies nor a report until their end."""
    near, far = rig.engine(), rig.engine()
    engine = make_engine("housed", near, far)

    rig.run_one(engine, rig.task("result = 1"))

    assert set() == names(near)
    assert names(far) == {worker.name for worker in engine.workers()}


def test_what_an_earlier_driver_did_here_is_given_out_again(rig: Rig) -> None:
    """Its own workers have ended with it; only those elsewhere may have gone on."""
    near, far = rig.engine(), rig.engine()
    engine = make_engine("housed", near, far)
    copy = rig.task(kind=TaskKind.COPY)

    engine.adopt([copy, rig.task()])

    expected = [Outcome(copy.id, copy.epoch, OutcomeState.RETURNED)]
    assert expected == engine.collect(5.0)


def test_what_is_abandoned_comes_back_from_neither_side(rig: Rig) -> None:
    """A copy, a report and a task of any other kind are forgotten alike."""
    near, far = rig.engine(), rig.engine()
    engine = make_engine("housed", near, far)
    slow = rig.task("import time; time.sleep(60)")
    copy = rig.task(kind=TaskKind.COPY)
    engine.start()
    engine.adopt([copy])
    engine.publish(Batch(rig.job(), (slow,)))

    engine.abandon([slow.id, copy.id])

    assert [] == engine.collect(0.3)
    assert not engine.alive()
