"""A local engine with real workers, and files that say what their tasks do."""

from __future__ import annotations

import itertools
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from grange.core.tasks import JSON, Batch, Job, Outcome, OutcomeState, Task, TaskKind
from grange.engines import Engine, make_engine
from grange.engines.local import LocalEngine
from grange.storage import file_uri

SCRIPTED = Path(__file__).with_name("scripted.py")
WORKER = (sys.executable, "-m", "grange.worker")
PATIENCE_SECONDS = 30.0


class Rig:
    """Makes engines, inputs and tasks in a folder, and plays the dispatcher."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = folder / "inputs"
        self.out = folder / "out"
        self.logs = folder / "logs"
        self.temporary = folder / "temporary"
        self.engines: list[Engine] = []
        self._numbers = itertools.count(1)
        for needed in (self.inputs, self.temporary):
            needed.mkdir()

    def engine(
        self, *, workers: int = 1, command: Sequence[str] = WORKER, **options: Any
    ) -> LocalEngine:
        """Make an engine, which is closed with the rig."""
        engine = make_engine("local", command, workers=workers, **options)
        assert isinstance(engine, LocalEngine)
        self.engines.append(engine)
        return engine

    def job(
        self,
        pipeline: str | Path = SCRIPTED,
        *,
        timeout_seconds: float | None = None,
        **changes: Any,
    ) -> Job:
        """Say what the tasks of a run have in common."""
        known = {"run": "run", "params": {}, **changes}
        return Job(
            pipeline=str(pipeline),
            store=file_uri(self.out),
            logs=str(self.logs),
            timeout_seconds=timeout_seconds,
            **known,
        )

    def task(
        self, script: str | bytes = b"", *, kind: TaskKind = TaskKind.PROCESS, payload: JSON = None
    ) -> Task:
        """Make an input of this content, and the task to work on it."""
        number = next(self._numbers)
        file = self.inputs / f"{number}.txt"
        content = script if isinstance(script, bytes) else textwrap.dedent(script).encode()
        file.write_bytes(content)
        return self.task_at(file, number=number, kind=kind, payload=payload)

    def task_at(
        self,
        file: Path,
        *,
        number: int = 0,
        kind: TaskKind = TaskKind.PROCESS,
        payload: JSON = None,
    ) -> Task:
        """Make the task to work on a file that is there."""
        status = file.stat()
        return Task(
            id=number or next(self._numbers),
            epoch=1,
            kind=kind,
            path=file.name,
            uri=file_uri(file),
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            payload=payload,
        )

    def run(
        self, engine: Engine, tasks: Iterable[Task], job: Job | None = None
    ) -> dict[int, Outcome]:
        """Give the tasks to the engine, and wait until each has come back."""
        given = tuple(tasks)
        engine.start()
        engine.publish(Batch(job or self.job(), given))
        return self.wait(engine, {task.id for task in given})

    def run_one(self, engine: Engine, task: Task, job: Job | None = None) -> Outcome:
        """Do so with one task."""
        return self.run(engine, [task], job)[task.id]

    def wait(self, engine: Engine, tasks: Iterable[int]) -> dict[int, Outcome]:
        """Wait until exactly these tasks have come back, each of them once."""
        missing = set(tasks)
        came: dict[int, Outcome] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while missing:
            assert time.monotonic() < deadline, f"not back: {sorted(missing)[:10]}"
            for outcome in engine.collect(0.1):
                assert outcome.task in missing, f"came twice, or unasked: {outcome}"
                missing.remove(outcome.task)
                came[outcome.task] = outcome
        return came

    def turn_until(self, engine: Engine, true: Callable[[], object]) -> list[Outcome]:
        """Let the engine work until something is true; returns what came back meanwhile."""
        came: list[Outcome] = []
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            assert time.monotonic() < deadline
            came += engine.collect(0.02)
        return came

    def start(self, engine: LocalEngine) -> None:
        """Start the engine, and wait until all its workers can take tasks."""
        engine.start()
        self.turn_until(engine, lambda: all(one.ready for one in engine._fleet))

    def warm_up(self, engine: LocalEngine) -> None:
        """Let every worker end so many short tasks that it is given them by the batch."""
        self.start(engine)
        outcomes = self.run(engine, [self.task() for _ in range(200)])
        assert states(outcomes.values()) == {OutcomeState.DONE}

    def log(self, task: Task, stream: str) -> str:
        """What was kept of an attempt's stdout or stderr."""
        return (self.logs / f"{task.token}.{stream}").read_text()


def states(outcomes: Iterable[Outcome]) -> set[OutcomeState]:
    """How the attempts came back."""
    return {outcome.state for outcome in outcomes}


def pids(engine: LocalEngine) -> list[int]:
    """The engine's worker processes."""
    return [worker.process.pid for worker in engine._fleet]


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no mere corpse."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def wait_for(true: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.01)
