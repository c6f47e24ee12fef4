"""Workers elsewhere, and beside them one here for what only this machine can reach.

Copies of earlier results, and a pipeline's report on a whole run, are made where the
server's files are: no worker elsewhere has to bring all of them to itself and back.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import ClassVar

from grange.core.tasks import Batch, Outcome, OutcomeState, Task, TaskKind
from grange.engines.base import HERE, Engine, Health, Holder, WorkerView

# What is done here.
KINDS_HERE = frozenset({TaskKind.COPY, TaskKind.REPORT})
# How long one side is listened to while the other may have something too.
SLICE_SECONDS = 0.02


class Housed(Engine):
    """Two engines as one. See `Engine` for what it promises."""

    def __init__(self, near: Engine, far: Engine) -> None:
        """Send what is done here to `near`, all else to `far`. Both are this one's to close."""
        self._near = near
        self._far = far
        self._here: set[int] = set()
        self._untold: list[Holder] = []  # what came here since somebody asked who holds what
        self._back: list[Outcome] = []

    def start(self) -> None:
        """Start what is elsewhere; here, workers come up when there is something for them."""
        self._far.start()

    def room(self) -> int:
        """What there is elsewhere."""
        return self._far.room()

    def publish(self, batch: Batch) -> None:
        """Give each task to its side."""
        here = tuple(task for task in batch.tasks if task.kind in KINDS_HERE)
        if not here:
            self._far.publish(batch)
            return
        there = tuple(task for task in batch.tasks if task.kind not in KINDS_HERE)
        if there:
            self._far.publish(Batch(batch.job, there))
        self._here.update(task.id for task in here)
        self._untold += [Holder(task.id, task.epoch, HERE) for task in here]
        self._near.start()
        self._near.publish(Batch(batch.job, here))

    def collect(self, timeout_seconds: float) -> list[Outcome]:
        """What came back from either side."""
        if not self._here and not self._back:
            return self._far.collect(timeout_seconds)
        deadline = time.monotonic() + timeout_seconds
        came, self._back = self._back, []
        while True:
            came += self._near.collect(0.0)
            left = 0.0 if came else deadline - time.monotonic()
            came += self._far.collect(max(0.0, min(SLICE_SECONDS, left)))
            if came or left <= 0:
                break
        self._here.difference_update(outcome.task for outcome in came)
        return came

    def alive(self) -> list[int]:
        """The tasks of both."""
        return [*self._far.alive(), *(self._near.alive() if self._here else ())]

    def abandon(self, tasks: Collection[int]) -> None:
        """Stop them wherever they are."""
        if here := self._here.intersection(tasks):
            self._near.abandon(here)
            self._here -= here
        self._back = [one for one in self._back if one.task not in set(tasks)]
        self._far.abandon(tasks)

    def workers(self) -> Sequence[WorkerView]:
        """Those elsewhere, and those here while they have something to do."""
        return [*self._far.workers(), *(self._near.workers() if self._here else ())]

    def adopt(self, tasks: Collection[Task]) -> None:
        """Wait for those elsewhere; what an earlier driver had done here has ended with it."""
        self._far.adopt([task for task in tasks if task.kind not in KINDS_HERE])
        self._back += [
            Outcome(task.id, task.epoch, OutcomeState.RETURNED)
            for task in tasks
            if task.kind in KINDS_HERE
        ]

    def holders(self) -> Sequence[Holder]:
        """Who has what elsewhere; and that nobody there has what is done here."""
        told, self._untold = self._untold, []
        return [*told, *self._far.holders()]

    def ring(self) -> None:
        """Wake the side that is waited for."""
        self._far.ring()

    def health(self) -> Health | None:
        """How the way elsewhere is."""
        return self._far.health()

    def forget(self) -> None:
        """Nothing is left elsewhere."""
        self._far.forget()

    def close(self) -> None:
        """End what is done here; elsewhere it may go on."""
        self._near.close()
        self._far.close()


class LastingHoused(Housed):
    """One whose far side outlives its driver."""

    lasting: ClassVar[bool] = True


def open_housed(near: Engine, far: Engine) -> Housed:
    """The two as one; what the registry calls."""
    return LastingHoused(near, far) if far.lasting else Housed(near, far)
