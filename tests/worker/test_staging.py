"""Two machines that were given the same attempt, and share the store that it goes to."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from grange.core.tasks import Batch, OutcomeState, staging_token
from grange.engines.local import LocalEngine
from grange.engines.register import Register
from grange.worker.execute import Executor
from grange.worker.work import Identity
from tests.engines.rig import WORKER, Rig

WAITS = """
import os, time
(work.output / "of").write_text(os.environ["GRANGE_STATION"])
(work.output / os.environ["GRANGE_STATION"]).touch()
while os.environ["GRANGE_STATION"] == "slow" and not os.path.exists({gate!r}):
    time.sleep(0.01)
"""


@pytest.fixture
def machines(rig: Rig) -> tuple[LocalEngine, LocalEngine]:
    """Give the workers of two machines: one waits for a gate to be opened, the other doesn't."""
    slow, quick = (
        rig.engine(command=("env", f"GRANGE_STATION={name}", *WORKER)) for name in ("slow", "quick")
    )
    return slow, quick


def test_neither_writes_into_what_the_other_makes(
    rig: Rig, machines: tuple[LocalEngine, LocalEngine], tmp_path: Path
) -> None:
    """The one that is done first is believed; the other one learns that, and leaves nothing."""
    slow, quick = machines
    gate = tmp_path / "gate"
    task = rig.task(WAITS.format(gate=str(gate)))
    slow.start()
    slow.publish(Batch(rig.job(), (task,)))
    rig.turn_until(slow, lambda: list(rig.out.rglob("slow")))

    first = rig.run_one(quick, task)
    gate.touch()
    late = rig.wait(slow, [task.id])[task.id]

    for engine in machines:
        engine.close()
    assert (OutcomeState.DONE, OutcomeState.FAILED) == (first.state, late.state)
    assert late.failure is not None
    assert "claim.ended" == late.failure.code
    (staged,) = rig.out.glob(".grange/staging/*")
    assert staging_token("run", task.id, task.epoch) == staged.name
    assert {one.path: one.sha256 for one in first.outputs} == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in staged.iterdir()
    }
    assert "quick" == (staged / "of").read_text()


def test_what_a_worker_has_made_that_died_before_it_could_tell_is_believed(
    rig: Rig, tmp_path: Path
) -> None:
    """Another one of its machine does it again, and finds the very same there: no lease ends.

    What it finds is told, as it lies there. Where it is something else, nobody knows whose it is.
    """
    register = Register(tmp_path / "register", create=True)
    worker = Executor(Identity("w1", "mark", tmp_path, station="one"), register)
    same = rig.task("(work.output / 'made').write_text('the same')")
    other = rig.task("import uuid; (work.output / 'made').write_text(str(uuid.uuid4()))")

    for task, state in ((same, OutcomeState.DONE), (other, OutcomeState.FAILED)):
        first = worker.execute(rig.job(), task)
        again = worker.execute(rig.job(), task)

        assert (OutcomeState.DONE, state) == (first.state, again.state)
        if state is OutcomeState.DONE:
            assert first.outputs == again.outputs
        (staged,) = rig.out.glob(f".grange/staging/*-{task.id}-*")
        assert staging_token("run", task.id, task.epoch) == staged.name
        assert [(staged / "made").stat().st_mtime_ns] == [one.mtime_ns for one in first.outputs]
