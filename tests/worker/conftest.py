"""One warm worker for all tests of a module: they ask for tasks, never for its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from grange.core.tasks import Job, Outcome, Task
from grange.engines.local import LocalEngine
from tests.engines.rig import Rig

Execute: TypeAlias = Callable[..., Outcome]


@pytest.fixture(scope="module")
def _engine() -> Iterator[list[LocalEngine]]:
    engines: list[LocalEngine] = []
    yield engines
    for engine in engines:
        engine.close()


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """Lend folders for inputs, outputs and logs."""
    return Rig(tmp_path_factory.mktemp("rig"))


@pytest.fixture
def execute(rig: Rig, _engine: list[LocalEngine]) -> Execute:
    """Execute one task in the module's worker."""
    if not _engine:
        _engine.append(rig.engine())
    (engine,) = _engine

    def do(task: Task, job: Job | None = None) -> Outcome:
        return rig.run_one(engine, task, job or rig.job(run=rig.folder.name))

    return do
