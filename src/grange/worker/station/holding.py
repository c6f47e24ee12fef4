"""The attempts in a station's hands, and how far each is. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum

from grange.core.resources import Needs
from grange.core.tasks import Task
from grange.worker.station.routes import Route, Way

# So many attempts that have ended are remembered, to know them when they come once more.
_REMEMBERED = 10_000


class Phase(StrEnum):
    """How far an attempt is."""

    COMING = "coming"  # its input is on its way here
    READY = "ready"  # it waits for room
    WORKING = "working"  # the workers have it
    LEAVING = "leaving"  # what it has made is on its way to where it belongs
    RESTING = "resting"  # it will be given back, after a pause


@dataclass(slots=True, eq=False)
class Held:
    """An attempt. `local` is the task as the workers get it, `hold` what keeps its input here."""

    route: Route
    task: Task
    needs: Needs
    phase: Phase
    since: float
    local: Task | None = None
    hold: ExitStack | None = None
    gpus: tuple[int, ...] = ()
    # Whether a mount can be to blame for what goes wrong with it.
    is_mounted: bool = True
    # How long the work has taken, once it is done.
    spent_seconds: float = 0.0
    # Done when nobody here is at it any more, if it was stopped.
    stopped: Future[None] | None = None

    @property
    def run(self) -> str:
        """The run that it belongs to."""
        return self.route.job.run

    @property
    def key(self) -> tuple[int, int]:
        """Task and epoch."""
        return self.task.id, self.task.epoch

    @property
    def uses_mounts(self) -> bool:
        """Whether its input or its outputs are on a mount."""
        return self.is_mounted or self.route.outputs is Way.MOUNT

    @property
    def leaves_something(self) -> bool:
        """Whether anything of it may lie on this machine that nobody else needs."""
        return not self.is_mounted or not self.route.is_mounted


class Holding:
    """All of them, by task: of one task, one attempt at a time."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._held: dict[int, Held] = {}
        self._phases: Counter[Phase] = Counter()
        self._ended: OrderedDict[tuple[str, int, int], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Held]:
        return iter(list(self._held.values()))

    @property
    def undone(self) -> int:
        """How many are not done."""
        return len(self._held) - self._phases[Phase.LEAVING]

    def count(self, phase: Phase) -> int:
        """How many are so far."""
        return self._phases[phase]

    def runs(self) -> set[str]:
        """The runs that they belong to."""
        return {held.run for held in self._held.values()}

    def find(self, task: int, epoch: int | None = None) -> Held | None:
        """The attempt at this task; None when there is none, or one of another epoch."""
        held = self._held.get(task)
        if held is None or epoch is None or epoch == held.task.epoch:
            return held
        return None

    def knows(self, run: str, task: int, epoch: int) -> bool:
        """Whether this very attempt is here, or was lately.

        A ledger that was restored from a copy gives the same numbers to tasks of another run.
        """
        held = self.find(task, epoch)
        return (run, task, epoch) in self._ended or (held is not None and held.run == run)

    def add(self, held: Held) -> None:
        """Hold one more. Nothing may be held of its task."""
        self._held[held.task.id] = held
        self._phases[held.phase] += 1

    def move(self, held: Held, phase: Phase, *, now: float) -> None:
        """It is so far."""
        self._phases[held.phase] -= 1
        self._phases[phase] += 1
        held.phase, held.since = phase, now

    def remove(self, held: Held) -> None:
        """Hold it no longer. One that is not held is ignored."""
        if self._held.get(held.task.id) is not held:
            return
        del self._held[held.task.id]
        self._phases[held.phase] -= 1
        self._ended[held.run, *held.key] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
