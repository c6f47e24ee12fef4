"""A station whose tasks are done by the test: the real intake, and nobody behind it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Self

from grange.core.tasks import Batch, Job, Outcome, OutcomeState, Task, TaskKind
from grange.engines import make_engine
from grange.engines.rabbit.engine import RabbitEngine
from grange.engines.rabbit.intake import Intake
from grange.engines.rabbit.living import Over
from grange.engines.rabbit.messages import Control, Held, Shapes
from grange.errors import EngineError

PATIENCE_SECONDS = 60.0
BEAT_SECONDS = 0.3
LEASE_SECONDS = 4.0


class Station:
    """Takes what comes and holds it until the test says what came of it, or answers at once."""

    def __init__(
        self, url: str, site: str, *, slots: int = 2, busy: bool = False, name: str = "st"
    ) -> None:
        self.held: dict[int, tuple[Job, Task]] = {}
        self.batches: list[Batch] = []
        self.controls: list[Control | Over] = []
        self.busy = busy  # whether it holds tasks instead of answering
        self.wanted = slots
        self._slots = slots
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self.intake = Intake(
            url,
            site=site,
            station=name,
            serves=lambda shape: shape.startswith("c1"),
            on_control=self._told,
        )
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Fall silent, whatever it holds."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def report(self, *outcomes: Outcome) -> bool:
        """Say what came of tasks, again and again until it is heard."""
        runs = {self.held[one.task][0].run for one in outcomes}
        for one in outcomes:
            self.held.pop(one.task)
        return self.run(self._publish(runs.pop(), list(outcomes)))

    def done(self, task: Task) -> bool:
        """Say that a task is done."""
        return self.report(Outcome(task.id, task.epoch, OutcomeState.DONE, seconds=0.01))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do something in the station's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def beat(self) -> None:
        """Say at once how it is."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def _publish(self, run: str, outcomes: list[Outcome]) -> bool:
        while True:
            try:
                return await self.intake.publish_outcomes(run, outcomes)
            except EngineError:
                await asyncio.sleep(0.05)

    def _told(self, control: Control | Over) -> None:
        self.controls.append(control)
        if isinstance(control, Shapes):
            self._wake.set()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        async with self.intake:
            works = [asyncio.create_task(self._beats()), asyncio.create_task(self._take())]
            await self._stop.wait()
            for work in works:
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work

    async def _beats(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            self.intake.want(dict.fromkeys(self.intake.shapes(), self.wanted))
            await self.intake.beat(slots=self._slots)
            for run in {job.run for job, _ in self.held.values()}:
                held = [
                    Held(task.id, task.epoch, 0.1)
                    for job, task in list(self.held.values())
                    if job.run == run
                ]
                await self.intake.beat(run, held, slots=self._slots)

    async def _take(self) -> None:
        async for delivery in self.intake:
            if not delivery.accept():
                continue
            batch = delivery.batch
            self.batches.append(batch)
            if self.busy:
                self.held |= {task.id: (batch.job, task) for task in batch.tasks}
                self.wanted -= 1
                self._wake.set()
            else:
                outcomes = [
                    Outcome(task.id, task.epoch, OutcomeState.DONE, seconds=1e-4)
                    for task in batch.tasks
                ]
                await self._publish(batch.job.run, outcomes)
            self.intake.want(dict.fromkeys(self.intake.shapes(), self.wanted))


class Scene:
    """Engines and stations on one site of one broker."""

    def __init__(self, url: str, site: str) -> None:
        self.url = url
        self.site = site
        self.engines: list[RabbitEngine] = []
        self.stations: list[Station] = []
        self._numbers = 0

    def engine(
        self, run: str = "run1", *, lease_seconds: float = LEASE_SECONDS, **options: Any
    ) -> RabbitEngine:
        """Make an engine, which is closed with the scene."""
        known = {"run": run, "site": self.site, "lease_seconds": lease_seconds}
        engine = make_engine(self.url, **known, **options)
        assert isinstance(engine, RabbitEngine)
        self.engines.append(engine)
        return engine

    def station(self, **options: Any) -> Station:
        """Start a station, which ends with the scene."""
        station = Station(self.url, self.site, **options)
        self.stations.append(station)
        return station.__enter__()

    def tasks(self, count: int = 1) -> tuple[Task, ...]:
        """Make tasks that nobody has had yet."""
        first = self._numbers + 1
        self._numbers += count
        return tuple(
            Task(number, 1, TaskKind.PROCESS, path=f"{number}", uri=f"file:///{number}")
            for number in range(first, first + count)
        )

    def close(self) -> None:
        """End them all."""
        for station in self.stations:
            station.end()
        for engine in self.engines:
            engine.forget()
            engine.close()


def publish(engine: RabbitEngine, tasks: tuple[Task, ...], run: str = "run1") -> None:
    """Hand tasks over."""
    engine.publish(Batch(Job(run, "p", {}, "file:///out", "/logs"), tasks))


def until(true: Callable[[], object], engine: RabbitEngine | None = None) -> list[Outcome]:
    """Wait until something is true; what came back meanwhile."""
    came: list[Outcome] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "in vain"
        if engine is None:
            time.sleep(0.01)
        else:
            came += engine.collect(0.02)
    return came


def wait(engine: RabbitEngine, tasks: tuple[Task, ...]) -> dict[int, Outcome]:
    """Wait until exactly these tasks have come back, each once."""
    missing = {task.id for task in tasks}
    came: dict[int, Outcome] = {}
    deadline = time.monotonic() + PATIENCE_SECONDS
    while missing:
        assert time.monotonic() < deadline, f"not back: {sorted(missing)[:10]}"
        for outcome in engine.collect(0.1):
            missing.remove(outcome.task)
            came[outcome.task] = outcome
    return came


def until_quiet(engine: RabbitEngine) -> list[Outcome]:
    """All that comes until nothing has come for a while."""
    came: list[Outcome] = []
    quiet = 0
    while quiet < 5:
        some = engine.collect(0.1)
        came += some
        quiet = 0 if some else quiet + 1
    return came
