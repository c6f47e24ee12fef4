"""A rig for each engine: it makes engines of its kind, and knows what only they can do."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from grange.core.ids import new_id
from grange.core.resources import Needs
from grange.core.tasks import Batch, Job, Outcome, OutcomeState, Task
from grange.engines import Engine, make_engine
from tests.engines.contract.doubling import Doubling
from tests.engines.rig import PATIENCE_SECONDS, Rig, is_alive, wait_for

LEASE_SECONDS = 60.0


class ContractRig(Rig):
    """What the contract's tests use: engines that are made anew, and a caller that tries again."""

    name = "local"
    # The shortest lease that signs of life are frequent enough for.
    shortest_lease_seconds = 2.0
    # Whether `workers` names those too that have nothing to do.
    shows_idle = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Workers may be warm from the test before, and know runs by their ids.
        self.run_id = new_id()

    def job(self, *args: Any, **changes: Any) -> Job:
        """Say what the tasks of a run have in common; the run is this test's own."""
        return super().job(*args, **{"run": self.run_id, **changes})

    def make(
        self, *, workers: int = 1, lease_seconds: float = LEASE_SECONDS, run: str = ""
    ) -> Engine:
        """Make an engine with so many workers, for one run; it is closed with the rig."""
        return super().engine(workers=workers, lease_seconds=lease_seconds)

    def end(self, engine: Engine) -> None:
        """End all that is out, as a driver does whose run is over."""
        engine.abandon(engine.alive())
        engine.forget()
        engine.close()

    def many(self, count: int, script: str = "result = 1") -> list[Task]:
        """Make many tasks over one input."""
        first = self.task(script)
        file = self.inputs / first.path
        return [first, *(self.task_at(file) for _ in range(count - 1))]

    def publish(self, engine: Engine, tasks: Iterable[Task], job: Job | None = None) -> None:
        """Hand the tasks over, all at once."""
        engine.start()
        engine.publish(Batch(job or self.job(), tuple(tasks)))

    def finish(
        self,
        engine: Engine,
        tasks: Iterable[Task],
        job: Job | None = None,
        *,
        beside: Container[int] = (),
    ) -> dict[int, Outcome]:
        """Wait for each of these to come back, as the ledger would.

        What was never begun is given out again as another attempt; anything
        that comes twice, or of an attempt that is not out, is refused. What
        comes of tasks `beside` these doesn't matter.
        """
        out = {task.id: task for task in tasks}
        came: dict[int, Outcome] = {}
        deadline = time.monotonic() + 2 * PATIENCE_SECONDS
        while out:
            assert time.monotonic() < deadline, f"not back: {sorted(out)[:10]}"
            again = []
            for outcome in engine.collect(0.1):
                if outcome.task in beside:
                    continue
                task = out.get(outcome.task)
                assert task is not None, f"came twice, or unasked: {outcome}"
                assert task.epoch == outcome.epoch
                if outcome.state is OutcomeState.RETURNED:
                    out[task.id] = replace(task, epoch=task.epoch + 1)
                    again.append(out[task.id])
                else:
                    came[task.id] = outcome
                    del out[task.id]
            if again:
                engine.publish(Batch(job or self.job(), tuple(again)))
        return came

    def do(
        self, engine: Engine, tasks: Iterable[Task], job: Job | None = None
    ) -> dict[int, Outcome]:
        """Hand the tasks over, and wait for each of them."""
        given = list(tasks)
        self.publish(engine, given, job)
        return self.finish(engine, given, job)

    def blocking(self) -> tuple[Task, Path]:
        """Make a task that starts a process of its own and never ends, and name its mark.

        The mark is a file with the numbers of both processes, written when both run.
        """
        mark = self.folder / f"mark-{time.monotonic_ns()}"
        task = self.task(
            f"""
            import os, subprocess, time
            child = subprocess.Popen(["sleep", "300"], start_new_session=True)
            with open({str(mark)!r} + ".part", "w") as file:
                file.write(f"{{os.getpid()}} {{child.pid}}")
            os.rename({str(mark)!r} + ".part", {str(mark)!r})
            work.progress(0.25)
            time.sleep(300)
            """
        )
        return task, mark

    def shown(self, workers: int, *, busy: int) -> int:
        """How many workers are to be seen, when so many of so many are busy."""
        return workers if self.shows_idle else busy

    def silence(self, engine: Engine, seconds: float = 0.5) -> None:
        """See that nothing more comes back."""
        assert [] == engine.collect(seconds)


class GatedTask:
    """A task that waits until it may end."""

    def __init__(self, rig: ContractRig) -> None:
        self.gate = rig.folder / f"gate-{time.monotonic_ns()}"
        self.begun = self.gate.with_suffix(".begun")
        self.task = rig.task(
            f"""
            import os, time
            open({str(self.begun)!r}, "a").write("x")
            while not os.path.exists({str(self.gate)!r}):
                time.sleep(0.01)
            result = "through"
            """
        )

    def open(self) -> None:
        """Let it end."""
        self.gate.touch()


def gone(mark: Path) -> None:
    """Wait until the processes that a mark names are no more."""
    numbers = [int(word) for word in mark.read_text().split()]
    wait_for(lambda: not any(is_alive(number) for number in numbers), seconds=10)


class RayRig(ContractRig):
    """Engines on a Ray cluster that lives as long as the tests' process."""

    name = "ray"
    address = ""

    def make(
        self, *, workers: int = 1, lease_seconds: float = LEASE_SECONDS, run: str = ""
    ) -> Engine:
        """Make an engine on that cluster."""
        engine = make_engine(self.address, workers=workers, lease_seconds=lease_seconds)
        self.engines.append(engine)
        return engine


class RabbitRig(ContractRig):
    """Engines over a broker; their workers are stations, which are real programs that go on."""

    name = "rabbit"
    # Stations with such a lease give a sign of life after about a fifth of it.
    shortest_lease_seconds = 4.5
    shows_idle = False
    url = ""
    site = ""
    # What sends all messages again, where they come twice.
    doubling: Doubling | None = None

    def make(
        self, *, workers: int = 1, lease_seconds: float = LEASE_SECONDS, run: str = ""
    ) -> Engine:
        """Make an engine whose tasks go to the station that has so many slots."""
        engine = make_engine(
            self.url,
            run=run or self.run_id,
            site=self.site,
            needs=needs_of(workers),
            lease_seconds=lease_seconds,
        )
        self.engines.append(engine)
        return engine


def needs_of(workers: int) -> Needs:
    """What leads tasks to the station with so many slots."""
    return Needs(labels=(f"slots-{workers}",))


RIGS: dict[str, type[ContractRig]] = {
    "local": ContractRig,
    "ray": RayRig,
    "rabbit": RabbitRig,
    "rabbit-twice": RabbitRig,
}
