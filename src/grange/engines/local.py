"""The engine of one machine: worker processes, spawned and looked after by this process."""

from __future__ import annotations

import select
import shutil
import signal
import tempfile
import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

from grange.core.tasks import (
    Batch,
    Failure,
    Job,
    Outcome,
    OutcomeState,
    Task,
    outcome_from_json,
    task_to_json,
)
from grange.engines.base import Engine, WorkerView
from grange.engines.process import Start, WorkerProcess
from grange.engines.register import IDLE
from grange.errors import ChannelBroken, WorkerStartFailed

# How often the engine looks after its workers when nothing else wakes it.
CARE_SECONDS = 0.1
# A worker ends its own command at the time limit; only when it can't does the engine step in.
GRACE_SECONDS = 2.0
# Workers that die so often in a row without having taken work will not do better the next time.
START_TRIES = 3
# A silent worker is killed after so many leases.
PATIENCE_LEASES = 3.0


class LocalEngine(Engine):
    """Feeds worker processes of its own. See `Engine` for what it promises."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        workers: int,
        lease_seconds: float = 60.0,
        recycle_bytes: int = 1 << 30,
    ) -> None:
        """Prepare `workers` workers, each started as `command` with options of the engine's own."""
        self._command = list(command)
        self._number = workers
        self._lease_seconds = lease_seconds
        self._recycle_bytes = recycle_bytes
        self._folder: Path | None = None
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self._queue: deque[tuple[Job, Task]] = deque()
        self._outcomes: list[Outcome] = []
        self._ignored: set[tuple[int, int]] = set()  # task and epoch
        self._early_deaths = 0
        self._spawn_after = 0.0
        self._next_care = 0.0

    def start(self) -> None:
        """Spawn the workers; they come up by themselves."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="grange-"))
        self._fill_up()

    def room(self) -> int:
        """How many more tasks keep every worker fed for a while."""
        if self._folder is None:
            return 2 * self._number
        wanted = sum(
            3 * worker.window if worker.window > 1 else 2
            for worker in self._workers
            if not worker.was_silent
        )
        held = sum(len(worker.held) for worker in self._workers if not worker.was_silent)
        return max(0, wanted - held - len(self._queue))

    def publish(self, batch: Batch) -> None:
        """Queue the tasks; workers get them in this order."""
        job = batch.job
        self._queue.extend((job, task) for task in batch.tasks)
        self._feed()

    def collect(self, timeout_seconds: float) -> list[Outcome]:
        """What came back; also feeds, watches and replaces workers."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._care()
            self._feed()
            self._listen(min(CARE_SECONDS, max(0.0, deadline - time.monotonic())))
            if self._outcomes or time.monotonic() >= deadline:
                break
        self._feed()
        came, self._outcomes = self._outcomes, []
        return came

    def alive(self) -> list[int]:
        """Tasks in the queue, and those of workers that gave a sign of life within a lease."""
        tasks = [task.id for _, task in self._queue]
        for worker in self._workers:
            if not worker.was_silent and worker.silent_seconds() < self._lease_seconds / 2:
                tasks.extend(worker.held)
        return tasks

    def abandon(self, tasks: Collection[int]) -> None:
        """Drop them from the queue; kill whoever is at one of them."""
        unwanted = set(tasks)
        self._queue = deque(one for one in self._queue if one[1].id not in unwanted)
        for worker in list(self._workers):
            hit = unwanted.intersection(worker.held)
            if not hit:
                continue
            at_hand = worker.register.read().task
            dropped = [worker.held.pop(number)[1] for number in hit]
            if at_hand in hit:
                self._remove(worker)
                self._requeue(worker)
            else:
                self._ignored.update((task.id, task.epoch) for task in dropped)
        self._fill_up()

    def workers(self) -> list[WorkerView]:
        """What each worker is doing, from its register."""
        now = time.monotonic()
        views = []
        for worker in self._workers:
            reading = worker.register.read()
            busy = reading.task != IDLE and reading.task in worker.held
            views.append(
                WorkerView(
                    name=worker.name,
                    task=reading.task if busy else None,
                    seconds=now - reading.begun,
                    progress=reading.progress if busy else None,
                    silent=worker.was_silent,
                )
            )
        return views

    def close(self) -> None:
        """Kill all workers with all that they started; their files go too."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        self._queue.clear()
        self._outcomes.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __del__(self) -> None:
        """Leave no process behind, even when nobody closed the engine."""
        if getattr(self, "_workers", None):
            self.close()

    def _fill_up(self) -> None:
        """Start workers until there are enough that are not silent."""
        if self._folder is None or time.monotonic() < self._spawn_after:
            return
        start = Start(self._command, self._folder, self._recycle_bytes)
        while sum(not worker.was_silent for worker in self._workers) < self._number:
            self._started += 1
            self._workers.append(WorkerProcess(start, self._started))

    def _feed(self) -> None:
        if not self._queue:
            return
        for worker in self._workers:
            appetite = worker.appetite
            if appetite > 0 and self._queue:
                self._give(worker, appetite)

    def _give(self, worker: WorkerProcess, count: int) -> None:
        # A share for everyone: at a run's end the last tasks are spread over all workers.
        count = min(count, -(-len(self._queue) // len(self._workers)))
        job = self._queue[0][0]
        tasks: list[Task] = []
        while self._queue and len(tasks) < count and self._queue[0][0] is job:
            tasks.append(self._queue.popleft()[1])
        message = {"job": asdict(job), "tasks": [task_to_json(task) for task in tasks]}
        worker.give(job, tasks, message)

    def _listen(self, timeout_seconds: float) -> None:
        reading = [worker for worker in self._workers if not worker.channel.closed]
        writing = [worker for worker in reading if worker.channel.sending]
        channels = {worker.channel.fileno(): worker for worker in reading}
        ready, writable, _ = select.select(
            list(channels), [worker.channel.fileno() for worker in writing], [], timeout_seconds
        )
        for number in writable:
            channels[number].channel.flush()
        for number in ready:
            self._hear(channels[number])

    def _hear(self, worker: WorkerProcess) -> None:
        try:
            messages = worker.channel.drain()
        except ChannelBroken:
            messages = []
            worker.channel.close()
        for message in messages:
            if message.get("ready"):
                worker.ready = True
                self._early_deaths = 0
            for data in message.get("outcomes", ()):
                self._answer(worker, outcome_from_json(data))
        if worker.was_silent and messages:
            # It was stopped, and has come back with what it had: that was its last word.
            self._bury(worker)
        elif worker.channel.closed:
            self._bury(worker)

    def _answer(self, worker: WorkerProcess, outcome: Outcome) -> None:
        worker.held.pop(outcome.task, None)
        worker.answered(outcome.seconds)
        attempt = (outcome.task, outcome.epoch)
        if attempt in self._ignored:
            self._ignored.discard(attempt)
            return
        self._outcomes.append(outcome)

    def _care(self) -> None:
        now = time.monotonic()
        if now < self._next_care:
            return
        self._next_care = now + CARE_SECONDS
        for worker in list(self._workers):
            if worker.process.poll() is not None:
                # What it said before it died still counts.
                self._hear(worker)
                if worker in self._workers:
                    self._bury(worker)
            else:
                self._watch(worker, now)
        self._fill_up()

    def _watch(self, worker: WorkerProcess, now: float) -> None:
        silence = worker.silent_seconds()
        if silence > PATIENCE_LEASES * self._lease_seconds:
            self._bury(worker)
        elif silence > self._lease_seconds:
            worker.was_silent = True
        elif worker.was_silent and not worker.held:
            self._bury(worker)
        elif worker.held:
            self._check_time(worker, now)

    def _check_time(self, worker: WorkerProcess, now: float) -> None:
        reading = worker.register.read()
        held = worker.held.get(reading.task)
        if held is None or held[0].timeout_seconds is None:
            return
        seconds = now - reading.begun
        limit = held[0].timeout_seconds
        if seconds < limit + GRACE_SECONDS:
            return
        worker.held.pop(reading.task)
        self._remove(worker)
        failure = Failure(
            "task.timed_out",
            f"The attempt took longer than {limit:g} seconds and was killed.",
            evidence={"limit_seconds": limit, "last_words": worker.last_words()},
        )
        self._outcomes.append(_failed(held[1], OutcomeState.FAILED, worker, seconds, failure))
        self._requeue(worker)

    def _bury(self, worker: WorkerProcess) -> None:
        """A worker is gone: the task at hand is lost, the others go to the next worker."""
        words = worker.last_words()
        reading = worker.register.read()
        self._remove(worker)
        code = worker.process.returncode
        if not worker.took_work and code != 0:
            self._died_early(worker, words)
        held = worker.held.pop(reading.task, None)
        if held is not None:
            failure = Failure(
                "worker.lost",
                f"The worker {_end_words(code)} while it was at this task.",
                evidence={**_end_evidence(code), "last_words": words},
            )
            seconds = time.monotonic() - reading.begun
            self._outcomes.append(_failed(held[1], OutcomeState.LOST, worker, seconds, failure))
        if worker.was_silent:
            # Others may have these tasks by now, as their leases ran out.
            self._outcomes += [
                Outcome(task.id, task.epoch, OutcomeState.RETURNED, worker=worker.name)
                for _, task in worker.held.values()
            ]
        else:
            self._requeue(worker)

    def _died_early(self, worker: WorkerProcess, words: str) -> None:
        self._early_deaths += 1
        self._spawn_after = time.monotonic() + 0.1 * 2**self._early_deaths
        if self._early_deaths >= START_TRIES:
            message = (
                f"Workers end before they take any work: the last one "
                f"{_end_words(worker.process.returncode)}."
            )
            raise WorkerStartFailed(f"{message}\n{words}", hint="See: grange doctor")

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        worker.end()

    def _requeue(self, worker: WorkerProcess) -> None:
        """What a dead worker had not begun goes first to the next one."""
        self._queue.extendleft(reversed(list(worker.held.values())))


def open_local(
    command: Sequence[str],
    *,
    workers: int,
    lease_seconds: float = 60.0,
    recycle_bytes: int = 1 << 30,
) -> LocalEngine:
    """The engine of this machine; what the registry calls."""
    return LocalEngine(
        command, workers=workers, lease_seconds=lease_seconds, recycle_bytes=recycle_bytes
    )


def _failed(
    task: Task, state: OutcomeState, worker: WorkerProcess, seconds: float, failure: Failure
) -> Outcome:
    return Outcome(task.id, task.epoch, state, seconds=seconds, worker=worker.name, failure=failure)


def _end_words(code: int | None) -> str:
    if code is None:
        return "fell silent"
    if code < 0:
        return f"was killed by {_signal_name(-code)}"
    return f"ended with exit code {code}"


def _end_evidence(code: int | None) -> dict[str, object]:
    if code is None:
        return {}
    return {"signal": _signal_name(-code)} if code < 0 else {"exit_code": code}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
