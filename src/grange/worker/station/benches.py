"""The benches of a station: one for tasks without a GPU, one for each choice of GPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from grange.core.resources import Capacity
from grange.core.tasks import Outcome
from grange.engines import WorkerView, make_engine
from grange.errors import GrangeError
from grange.worker.station.bench import Bench
from grange.worker.station.machine import VISIBLE


@dataclass(frozen=True, slots=True)
class Workers:
    """How worker processes are started. `environment` is added to theirs, `withheld` left out."""

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    withheld: frozenset[str] = frozenset()
    lease_seconds: float = 60.0
    recycle_bytes: int = 1 << 30


class Benches:
    """Makes benches when they are first needed."""

    def __init__(
        self,
        capacity: Capacity,
        workers: Workers,
        *,
        hear: Callable[[list[Outcome]], None],
        fail: Callable[[GrangeError], None],
    ) -> None:
        """`hear` and `fail` are called in threads of the benches."""
        self._capacity = capacity
        self._workers = workers
        self._hear = hear
        self._fail = fail
        self._benches: dict[tuple[int, ...], Bench] = {}

    def at(self, gpus: tuple[int, ...]) -> Bench:
        """The bench whose workers see exactly these GPUs."""
        bench = self._benches.get(gpus)
        if bench is None:
            bench = self._benches[gpus] = self._make(gpus)
            bench.start()
        return bench

    def working(self) -> dict[int, WorkerView]:
        """By task, what the workers are at."""
        return {
            view.task: view
            for bench in self._benches.values()
            for view in bench.look().views
            if view.task is not None
        }

    def is_alive(self, task: int, gpus: tuple[int, ...], *, published: float) -> bool:
        """Whether whoever has the task, since then, gave a sign of life lately."""
        bench = self._benches.get(gpus)
        if bench is None:
            return False
        look = bench.look()
        return look.at <= published or task in look.alive

    def close(self) -> None:
        """Kill all workers. Waits for them."""
        for bench in self:
            bench.close()

    def __iter__(self) -> Iterator[Bench]:
        return iter(tuple(self._benches.values()))

    def _make(self, gpus: tuple[int, ...]) -> Bench:
        workers = self._workers
        given = list(workers.environment)
        if self._capacity.gpus:
            # Without one of its own a task has none, or it would be in another one's way.
            # Indices are those of the driver, which CUDA may count otherwise.
            given += [("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), (VISIBLE, ",".join(map(str, gpus)))]
        # The program `env` becomes the worker, so that there is no process between.
        words = [f"{name}={value}" for name, value in given]
        engine = make_engine(
            "local",
            [*(["env", *words] if words else []), *workers.command],
            workers=self._capacity.slots,
            lease_seconds=workers.lease_seconds,
            recycle_bytes=workers.recycle_bytes,
            withheld=workers.withheld,
        )
        return Bench(engine, hear=self._hear, fail=self._fail)
