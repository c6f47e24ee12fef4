"""Workers as one actor may see them: of runs that are not theirs nothing but how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from grange.client.schemas import workers as schemas
from grange.pool.models import misfit
from grange.server import access, shown

if TYPE_CHECKING:
    from pathlib import Path

    from grange.accounts.models import Actor
    from grange.pool.models import Worker, WorkerToken
    from grange.pool.service import Workers
    from grange.runs.models import RunView
    from grange.runs.reads import Reads
    from grange.server.parts import Parts

JSON = Any
_VERSION = version("grange")

# What a beat says in the words of the answer.
_SAID = (
    *("busy", "held", "done", "failed", "per_minute", "cpu", "load", "memory_used_bytes"),
    *("memory_bytes", "bytes_in", "bytes_out", "cache_bytes", "shares", "engine_up", "node_port"),
)


class Crew:
    """The workers of a server, for one who asks."""

    def __init__(self, workers: Workers, runs: Reads, actor: Actor, *, home: Path) -> None:
        """Show them to this actor; `home` is what they need not know of."""
        self._workers = workers
        self._reads = runs
        self._actor = actor
        self._sight = access.sight_of(actor)
        self._veil = shown.veil_over(home)
        self._runs: dict[str, RunView | None] = {}

    def all(self) -> list[schemas.Worker]:
        """All that were not removed, by name."""
        return [self.told(worker) for worker in self._workers.workers(self._actor)]

    def one(self, ref: str) -> schemas.Worker:
        """The worker of an id or a name.

        Raises:
            WorkerNotFound: There is none.
        """
        return self.told(self._workers.find(self._actor, ref))

    def told(self, worker: Worker) -> schemas.Worker:
        """A worker as this actor may see it."""
        beat = worker.beat
        said = {name: beat[name] for name in _SAID if beat.get(name) is not None}
        return schemas.Worker(
            id=worker.id,
            name=worker.name,
            state=worker.state.value,
            presence=self._workers.presence(worker).value,
            standing=worker.standing(self._workers.now()).value,
            labels=list(worker.labels),
            capacity=schemas.Capacity.model_validate(worker.capacity),
            version=worker.version,
            protocol=worker.protocol,
            misfit=misfit(worker.protocol, worker.version, server_version=_VERSION),
            system=worker.system,
            address=worker.address if self._actor.is_admin else "",
            joined_at=worker.joined_at,
            seen_at=worker.seen_at,
            metrics_url=worker.metrics_url if self._actor.is_admin else "",
            tasks=self._tasks(beat.get("tasks", ())),
            **said,
        )

    def _tasks(self, tasks: Iterable[Mapping[str, JSON]]) -> list[schemas.TaskSeen]:
        return [self._task(task) for task in tasks]

    def _task(self, task: Mapping[str, JSON]) -> schemas.TaskSeen:
        known = {"seconds": task["seconds"], "progress": task.get("progress")}
        run = self._run(task["run"])
        if run is None:
            return schemas.TaskSeen(**known)
        return schemas.TaskSeen(
            run=run.id,
            run_name=run.name,
            pipeline=self._veil.over(run.pipeline),
            path=self._veil.over(task.get("path", "")),
            **known,
        )

    def _run(self, run: str) -> RunView | None:
        if run not in self._runs:
            found = self._reads.of_id(run)
            self._runs[run] = found if found is not None and self._sight.sees(found) else None
        return self._runs[run]


def crew_of(parts: Parts, actor: Actor) -> Crew:
    """The workers of this server, for one who asks."""
    return Crew(parts.workers, parts.runs, actor, home=parts.settings.home)


def token_told(token: WorkerToken) -> schemas.WorkerToken:
    """A token, without its secret."""
    return schemas.WorkerToken.model_validate(token)
