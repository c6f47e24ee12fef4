"""The engine of one machine: worker processes, spawned and looked after by this process."""

from __future__ import annotations

import select
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from grange.core.tasks import (
    JSON,
    Batch,
    Job,
    Outcome,
    OutcomeState,
    Task,
    job_to_json,
    outcome_from_json,
    task_to_json,
)
from grange.engines import endings
from grange.engines.base import Engine, WorkerView
from grange.engines.bell import Bell
from grange.engines.fleet import Fleet
from grange.engines.process import WorkerProcess
from grange.engines.register import Reading
from grange.errors import ChannelBroken

# How often the engine looks after its workers when nothing else wakes it.
CARE_SECONDS = 0.1
# A worker ends its own command at the time limit; only when it can't does the engine step in.
GRACE_SECONDS = 2.0
# Tasks that wait behind one that takes longer than this are given to others.
PATIENCE_SECONDS = 1.0
# A worker gives no sign of life before it is ready, which takes long on a busy machine.
START_SECONDS = 60.0
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
        withheld: Collection[str] = (),
        places: Sequence[Mapping[str, str]] = (),
        closed: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare `workers` workers, each started as `command` with options of the engine's own.

        They get this process's environment but for the variables `withheld`. With
        `places` there are as many workers as these, and each has the variables of one of
        them; `closed` is called when none of them is left.
        """
        self._lease_seconds = lease_seconds
        self._fleet = Fleet(
            list(command),
            number=workers,
            recycle_bytes=recycle_bytes,
            withheld=withheld,
            places=places,
        )
        # However it ends: what was lent to its workers is free again.
        self._closed = weakref.finalize(self, closed)
        # Nothing is left behind, even when nobody closes the engine.
        weakref.finalize(self, self._fleet.close)
        self._queue: deque[tuple[Job, Task]] = deque()
        self._packed: tuple[Job, JSON] | None = None
        self._outcomes: list[Outcome] = []
        self._next_care = 0.0
        self._bell = Bell()
        weakref.finalize(self, self._bell.close)
        self._rung = False

    def start(self) -> None:
        """Spawn the workers; they come up by themselves."""
        self._fleet.open()

    def room(self) -> int:
        """How many more tasks keep every worker fed for a while."""
        if not self._fleet.is_open:
            return 2 * self._fleet.number
        working = self._fleet.working()
        wanted = sum(worker.wanted for worker in working)
        held = sum(len(worker.held) for worker in working)
        return max(0, wanted - held - len(self._queue))

    def publish(self, batch: Batch) -> None:
        """Queue the tasks; workers get them in this order."""
        job = batch.job
        self._queue.extend([(job, task) for task in batch.tasks])
        self._feed()

    def collect(self, timeout_seconds: float) -> list[Outcome]:
        """What came back; also feeds, watches and replaces workers."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            self._care()
            self._feed()
            self._listen(min(CARE_SECONDS, max(0.0, deadline - time.monotonic())))
            if self._outcomes or self._rung or time.monotonic() >= deadline:
                break
        self._feed()
        self._rung = False
        came, self._outcomes = self._outcomes, []
        return came

    def ring(self) -> None:
        """Write a byte where `collect` listens."""
        self._bell.ring()

    def alive(self) -> list[int]:
        """Tasks in the queue, and those of workers that gave a sign of life within a lease."""
        tasks = [task.id for _, task in self._queue]
        for worker in self._fleet.working():
            if worker.silent_seconds() < self._lease_seconds / 2:
                tasks.extend(worker.held)
        return tasks

    def abandon(self, tasks: Collection[int]) -> None:
        """Drop them from the queue; kill whoever is at one of them."""
        unwanted = set(tasks)
        self._queue = deque(one for one in self._queue if one[1].id not in unwanted)
        self._outcomes = [one for one in self._outcomes if one.task not in unwanted]
        for worker in self._fleet:
            hit = unwanted.intersection(worker.held)
            if hit:
                worker.drop(hit)
                self._stop_dropped(worker)

    def give_back(self) -> list[Task]:
        """The tasks that wait for a worker: they are the caller's again, and never begun here."""
        waiting = [task for _, task in self._queue]
        self._queue.clear()
        return waiting

    def workers(self) -> list[WorkerView]:
        """What each worker is doing, from its register."""
        now = time.monotonic()
        views = []
        for worker in self._fleet:
            reading = worker.register.read()
            busy = reading.task in worker.held
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
        self._fleet.close()
        self._closed()
        self._queue.clear()
        self._outcomes.clear()

    # ---- giving work

    def _feed(self) -> None:
        if not self._queue:
            return
        working = self._fleet.working()
        for worker in working:
            appetite = worker.appetite
            if appetite > 0 and self._queue:
                # A share for everyone: at a run's end the last tasks are spread over all workers.
                self._give(worker, min(appetite, -(-len(self._queue) // len(working))))

    def _give(self, worker: WorkerProcess, count: int) -> None:
        queue = self._queue
        job = queue[0][0]
        held: list[tuple[Job, Task]] = []
        while queue and len(held) < count and queue[0][0] is job:
            held.append(queue.popleft())
        if self._packed is None or self._packed[0] is not job:
            self._packed = (job, job_to_json(job))
        worker.give(self._packed[1], held, [task_to_json(task) for _, task in held])

    def _requeue(self, held: Iterable[tuple[Job, Task]]) -> None:
        """What a worker has not begun goes first to the next one, in its order."""
        self._queue.extendleft(reversed(list(held)))

    # ---- hearing of it

    def _listen(self, timeout_seconds: float) -> None:
        poll = select.poll()
        listened = {}
        poll.register(self._bell, select.POLLIN)
        for worker in self._fleet:
            channel = worker.channel
            listened[channel.fileno()] = worker
            poll.register(channel, select.POLLIN | (select.POLLOUT if channel.sending else 0))
        for number, event in poll.poll(timeout_seconds * 1000):
            if number == self._bell.fileno():
                self._bell.hush()
                self._rung = True
                continue
            worker = listened[number]
            if event & select.POLLOUT:
                worker.channel.flush()
            if event & ~select.POLLOUT:
                said = self._hear(worker)
                if worker.channel.closed:
                    self._mourn(worker)
                elif said and worker.was_silent:
                    self._retire(worker)

    def _hear(self, worker: WorkerProcess) -> bool:
        """Take what a worker says; whether it said anything."""
        try:
            messages = worker.channel.drain()
        except ChannelBroken:
            worker.channel.closed = True
            return False
        returned = []
        for message in messages:
            worker.ready = True
            for data in message.get("outcomes", ()):
                outcome = outcome_from_json(data)
                held = worker.answered(outcome)
                if held is None:
                    continue
                if outcome.state is OutcomeState.RETURNED and not worker.was_silent:
                    returned.append(held)
                else:
                    self._outcomes.append(outcome)
        self._requeue(returned)
        if messages:
            self._fleet.was_useful()
        return bool(messages)

    # ---- looking after workers

    def _care(self) -> None:
        now = time.monotonic()
        if now >= self._next_care:
            self._next_care = now + CARE_SECONDS
            for worker in self._fleet:
                self._watch(worker, now)
        self._fleet.fill_up()

    def _watch(self, worker: WorkerProcess, now: float) -> None:
        silence = worker.silent_seconds()
        lease = self._lease_seconds if worker.ready else max(self._lease_seconds, START_SECONDS)
        if worker.is_dead() or silence > PATIENCE_LEASES * lease:
            self._mourn(worker)
        elif silence > lease:
            worker.was_silent = True
        elif worker.was_silent and not worker.held:
            self._retire(worker)
        elif not self._stop_dropped(worker) and not self._stop_late(worker, now):
            self._take_back(worker)

    def _stop_dropped(self, worker: WorkerProcess) -> bool:
        if not worker.at_dropped():
            return False
        self._spare(worker, self._end(worker)[1])
        self._leave(worker)
        return True

    def _stop_late(self, worker: WorkerProcess, now: float) -> bool:
        reading = worker.register.read()
        held = worker.held.get(reading.task)
        if held is None or held[0].timeout_seconds is None:
            return False
        if now - reading.begun < held[0].timeout_seconds + GRACE_SECONDS:
            return False
        reading, late = self._end(worker)
        if late is held:
            self._outcomes.append(endings.timed_out(worker, held, reading))
        else:
            self._spare(worker, late)
        self._leave(worker)
        return True

    def _take_back(self, worker: WorkerProcess) -> None:
        if worker.call_back(PATIENCE_SECONDS):
            # What it had ended it told before it let the others go.
            self._hear(worker)
            self._requeue(worker.take_back())

    def _mourn(self, worker: WorkerProcess) -> None:
        """A worker has died, or is to die of its silence: what it was at is lost."""
        reading, held = self._end(worker)
        if held is not None:
            self._fleet.was_useful()
            self._outcomes.append(endings.lost(worker, held, reading))
        try:
            if held is None and worker.died_early():
                self._fleet.died_early(worker)
        finally:
            self._leave(worker)

    def _retire(self, worker: WorkerProcess) -> None:
        """A worker that was silent has told what it had ended; others may have the rest by now."""
        self._spare(worker, self._end(worker)[1])
        self._leave(worker)

    def _spare(self, worker: WorkerProcess, held: tuple[Job, Task] | None) -> None:
        """What a worker was at when it was killed for something else: that is no attempt."""
        if held is not None:
            self._outcomes.append(_returned(worker, held[1]))

    def _end(self, worker: WorkerProcess) -> tuple[Reading, tuple[Job, Task] | None]:
        """Kill a worker. Says what it was at, and has not answered."""
        reading = self._fleet.end(worker)
        # What it said before it died still counts.
        self._hear(worker)
        return reading, worker.held.pop(reading.task, None)

    def _leave(self, worker: WorkerProcess) -> None:
        """Give what a killed worker had not begun to others, and remove what is left of it."""
        if worker.was_silent:
            # These tasks' leases may have run out: whoever gave them out may do so again.
            self._outcomes += [_returned(worker, task) for _, task in worker.held.values()]
        else:
            self._requeue(worker.held.values())
        worker.close()


def open_local(
    command: Sequence[str],
    *,
    workers: int,
    lease_seconds: float = 60.0,
    recycle_bytes: int = 1 << 30,
    withheld: Collection[str] = (),
    places: Sequence[Mapping[str, str]] = (),
    closed: Callable[[], None] = lambda: None,
) -> LocalEngine:
    """The engine of this machine; what the registry calls."""
    return LocalEngine(
        command,
        workers=workers,
        lease_seconds=lease_seconds,
        recycle_bytes=recycle_bytes,
        withheld=withheld,
        places=places,
        closed=closed,
    )


def _returned(worker: WorkerProcess, task: Task) -> Outcome:
    return Outcome(task.id, task.epoch, OutcomeState.RETURNED, worker=worker.name)
