"""What the engine's side knows of one actor, and of one engine: who holds what. No threads here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from grange.core.tasks import (
    JSON,
    Batch,
    Failure,
    Job,
    Outcome,
    OutcomeState,
    Task,
    batch_to_json,
    outcome_from_json,
)
from grange.engines.base import WorkerView
from grange.engines.local import PATIENCE_SECONDS
from grange.engines.ray.actor import Actor
from grange.engines.ray.host import PROTOCOL
from grange.errors import GrangeError

# About so much work is on its way to an actor or there: the way must not matter.
WINDOW_SECONDS = 0.3
_LARGEST = 4096
# So many are given one by one.
_FEW = 2
# Behind a task of less than this, the next one waits already.
SHORT_SECONDS = 0.75
# How much the latest task weighs in the average; one that is so many times as quick is all of it.
_NEW_WEIGHT = 0.2
_LOADING = 10.0
# Of these it says something how long they took.
_TIMED = frozenset({OutcomeState.DONE, OutcomeState.FAILED})


class Seat:
    """One engine: what it was given and what came back. Guarded by its crew's lock."""

    def __init__(self) -> None:
        """Begin with nothing out."""
        self.number = 0
        self.queue: deque[tuple[Job, Task]] = deque()
        self.outcomes: list[Outcome] = []
        self.held: set[int] = set()
        self.error: GrangeError | None = None
        self.rung = False
        self._average_seconds: float | None = None

    @property
    def task_seconds(self) -> float:
        """How long one of its tasks takes, as far as that is known; else a long time."""
        return WINDOW_SECONDS if self._average_seconds is None else self._average_seconds

    @property
    def window(self) -> int:
        """How many of its tasks one actor should hold: many short ones, or one long one."""
        if self._average_seconds is None:
            return 1
        short = self._average_seconds < SHORT_SECONDS
        return max(1 + short, min(int(WINDOW_SECONDS / max(self._average_seconds, 1e-6)), _LARGEST))

    @property
    def out(self) -> int:
        """How many of its tasks have not come back."""
        return len(self.queue) + len(self.held)

    def land(self, outcome: Outcome) -> None:
        """Take an outcome for whoever collects."""
        self.held.discard(outcome.task)
        self.outcomes.append(outcome)
        if outcome.state in _TIMED:
            self._weigh(outcome.seconds)

    def back(self, job: Job, task: Task) -> None:
        """Take a task back that was never begun: it is the next one to be given."""
        self.held.discard(task.id)
        self.queue.appendleft((job, task))

    def pick(self, count: int) -> list[tuple[Job, Task]]:
        """Up to so many tasks of one job, which are held by somebody now."""
        queue = self.queue
        job = queue[0][0]
        picked: list[tuple[Job, Task]] = []
        while queue and len(picked) < count and queue[0][0] is job:
            picked.append(queue.popleft())
        self.held.update(task.id for _, task in picked)
        return picked

    def _weigh(self, seconds: float) -> None:
        average = self._average_seconds
        if average is None or seconds < average / _LOADING:
            # The first task of a run loads its model too, which says nothing about the next.
            self._average_seconds = seconds
        else:
            self._average_seconds = average + _NEW_WEIGHT * (seconds - average)


@dataclass(frozen=True, slots=True)
class Held:
    """A task that an actor has, or that is on its way there."""

    seat: Seat
    job: Job
    task: Task


class Post:
    """One actor: what it holds, what it said last, what it is to be told next."""

    def __init__(self, number: int, actor: Actor) -> None:
        """Nothing is known of it before its first report."""
        self.number = number
        self.actor = actor
        self.node = ""
        self.ready = False
        # It gets no more work; and then, it was told to end.
        self.closing = self.leaving = False
        # Its last report has not come, and no other will.
        self.ended = False
        self.busy_at = time.monotonic()
        self.held: dict[int, Held] = {}
        self.seen = 0
        self.heard_at = time.monotonic()
        self._stale: frozenset[int] = frozenset()
        self._views: list[JSON] = []
        self._batches: list[tuple[int, Batch]] = []
        self._abandoned: list[int] = []

    def appetite(self, seat: Seat) -> int:
        """How many more tasks of this engine it should get now."""
        if not self.ready or self.closing or self._is_silent() or self._is_stuck():
            return 0
        window = seat.window
        if window <= _FEW:
            return window - len(self.held)
        load = sum(held.seat.task_seconds for held in self.held.values())
        return min(int((WINDOW_SECONDS - load) / WINDOW_SECONDS * window), window)

    def silent_seconds(self) -> float:
        """How long nothing was heard of it."""
        return time.monotonic() - self.heard_at

    def stale(self, lease_seconds: float) -> Iterable[int]:
        """The tasks that it holds of which there was no sign of life lately."""
        if self.silent_seconds() > lease_seconds / 2:
            return self.held
        return self._stale

    # ---- telling it

    def hold(self, seat: Seat, picked: list[tuple[Job, Task]]) -> None:
        """Give it tasks of one job; `message` carries them."""
        for job, task in picked:
            self.held[task.id] = Held(seat, job, task)
        batch = Batch(picked[0][0], tuple(task for _, task in picked))
        self._batches.append((seat.number, batch))

    def drop(self, tasks: Iterable[int]) -> None:
        """Forget tasks, and have it stop them."""
        for task in tasks:
            del self.held[task]
            self._abandoned.append(task)

    def message(self) -> JSON | None:
        """What it is to be told, once; None when that is nothing."""
        if not self._batches and not self._abandoned:
            return None
        batches = [[seat, batch_to_json(batch)] for seat, batch in self._batches]
        message = {"protocol": PROTOCOL, "batches": batches, "abandon": self._abandoned}
        self._batches, self._abandoned = [], []
        return message

    # ---- hearing of it

    def hear(self, data: JSON) -> None:
        """Take a report: whose tasks have come to what, and what it does."""
        self.ready = True
        self.node, self.seen = data["node"], data["number"]
        self.heard_at = time.monotonic()
        if self.held:
            self.busy_at = self.heard_at
        self._stale, self._views = frozenset(data["stale"]), data["views"]
        for seat, one in data["outcomes"]:
            if isinstance(one, dict):
                self._answer(seat, outcome_from_json(one))
            elif (held := self._release(seat, one)) is not None:
                held.seat.back(held.job, held.task)

    def views(self) -> Iterator[WorkerView]:
        """What its worker does."""
        ago = self.silent_seconds()
        for name, task, seconds, progress, silent in self._views:
            mine = task if task in self.held else None
            full = f"{self.node}-{self.number}-{name}"
            done = None if mine is None else progress
            yield WorkerView(full, mine, seconds + ago, done, silent or self._is_silent())

    def lose(self, words: str, *, blameless: bool) -> None:
        """It is gone: what it was at is lost, what it had not begun is the ledger's again.

        What was at hand is what it said last, or the first that it was given.
        Where the actor had no part in its end, nothing counts as tried.
        """
        at_hand = {view[1] for view in self._views} & set(self.held) or set([*self.held][:1])
        for number, held in self.held.items():
            lost = number in at_hand and not blameless
            state = OutcomeState.LOST if lost else OutcomeState.RETURNED
            failure = Failure("worker.lost", words, evidence={"node": self.node}) if lost else None
            worker = f"{self.node}-{self.number}"
            held.seat.land(Outcome(number, held.task.epoch, state, worker=worker, failure=failure))
        self.held.clear()

    def _answer(self, seat: int, outcome: Outcome) -> None:
        held = self._release(seat, outcome.task, outcome.epoch)
        if held is None:
            return
        outcome.worker = f"{self.node}-{self.number}-{outcome.worker}"
        held.seat.land(outcome)

    def _release(self, seat: int, task: int, epoch: int | None = None) -> Held | None:
        held = self.held.get(task)
        if held is None or held.seat.number != seat or epoch not in {None, held.task.epoch}:
            return None
        return self.held.pop(task)

    def _is_stuck(self) -> bool:
        """Whether it is at a task that takes long: nothing is to wait behind that."""
        ago = self.silent_seconds()
        return any(view[1] and view[2] + ago > PATIENCE_SECONDS for view in self._views)

    def _is_silent(self) -> bool:
        return bool(self._views) and all(view[4] for view in self._views)
