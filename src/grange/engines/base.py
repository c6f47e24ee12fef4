"""The interface of an engine: how tasks reach workers, and outcomes come back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from grange.core.tasks import Batch, Outcome, Task


@dataclass(frozen=True, slots=True)
class WorkerView:
    """What one worker is doing right now, for people to look at."""

    name: str
    task: int | None  # the task that it executes, if any
    seconds: float  # how long it has been at it
    progress: float | None = None  # 0 to 1, where the pipeline says so
    silent: bool = False  # it has given no sign of life for a while


# In place of a worker's name: the machine of the driver itself.
HERE: Final = "here"


@dataclass(frozen=True, slots=True)
class Holder:
    """A worker of another machine has this attempt; `worker` is its id, or `HERE`."""

    task: int
    epoch: int
    worker: str


@dataclass(frozen=True, slots=True)
class Health:
    """Whether an engine reaches what it needs, for people to look at.

    `since` is when that began, as `time.time` says it; `reason` is why it is down.
    """

    state: Literal["up", "down"]
    since: float
    reason: str = ""


class Engine(ABC):
    """Brings batches to workers and their outcomes back. Not thread-safe: one owner drives it.

    Delivery is at least once; the ledger's epochs make the effect exactly once.
    An engine keeps nothing that the ledger doesn't have: it may be killed at any time.
    """

    # Whether what it has published goes on when it is closed, and another one can adopt it.
    lasting: ClassVar[bool] = False

    @abstractmethod
    def start(self) -> None:
        """Begin to work. Returns at once; workers come up by themselves. Idempotent.

        Raises:
            WorkerStartFailed: No worker can be started at all.
        """

    @abstractmethod
    def room(self) -> int:
        """How many more tasks are worth publishing now (0 when all are well fed)."""

    @abstractmethod
    def publish(self, batch: Batch) -> None:
        """Take tasks over; never blocks.

        Each comes back as exactly one outcome, unless this engine itself dies.
        """

    @abstractmethod
    def collect(self, timeout_seconds: float) -> list[Outcome]:
        """The outcomes that came back; waits at most so long for the first one.

        A worker that died brings `lost` for the task that it was at; those that
        it had not begun go to another one, or come back as `returned`. This is
        also where the engine looks after its workers, so call it often.

        Raises:
            WorkerStartFailed: Workers die again and again before they take work.
        """

    @abstractmethod
    def alive(self) -> list[int]:
        """Ids of the tasks whose holder gave a sign of life lately: renew their leases."""

    @abstractmethod
    def abandon(self, tasks: Collection[int]) -> None:
        """Stop these tasks and forget them.

        Their work is killed with all that it started, and no outcome comes back.
        Idempotent; unknown ids are ignored.
        """

    @abstractmethod
    def workers(self) -> Sequence[WorkerView]:
        """What each worker is doing."""

    @abstractmethod
    def close(self) -> None:
        """Kill all workers and all that they started, and forget their tasks. Idempotent.

        One that lasts has no workers of its own: it lets go, and what is under way goes on.
        """

    def adopt(self, tasks: Collection[Task]) -> None:  # noqa: B027  # most have none
        """Wait for tasks that an earlier engine of the same run has published.

        To be called before anything else, since what comes back of tasks that
        nobody waits for is dropped. An engine that doesn't last has none.
        """

    def forget(self) -> None:  # noqa: B027  # most leave nothing
        """The run has ended: remove what would wait for a next engine. Before `close`."""

    def tidy(self, runs: Collection[str]) -> None:  # noqa: B027  # most leave nothing
        """These runs have ended, maybe while nobody could say `forget`: the same for all of them.

        May be called at any time, for any runs of the site, again and again.
        """

    def holders(self) -> Sequence[Holder]:
        """Who has which attempt, as far as that was not told before and matters beyond the engine.

        What is over before anybody asks twice is never told. To be called now and then.
        """
        return ()

    def ring(self) -> None:  # noqa: B027  # only a nudge
        """Let a `collect` that waits return soon. May be called from any thread."""

    def health(self) -> Health | None:
        """Whether it reaches its workers' way; None where nothing is between them."""
        return None
