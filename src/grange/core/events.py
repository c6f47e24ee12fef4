"""What happens to a run, said to whoever listens: a display, a stream, a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from grange.core.states import AttemptEnd, ItemState, RunState
from grange.core.tasks import Outcome, TaskKind

JSON = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerActivity:
    """What one worker is doing: which item, of what kind, for how long, how far."""

    name: str
    item: str | None
    kind: str | None
    seconds: float
    progress: float | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How a run stands. Sent a few times a second while something moves."""

    run: str
    state: RunState
    total: int
    done: int
    failed: int
    cancelled: int
    reused: int
    bytes_total: int
    elapsed_seconds: float
    per_second: float  # items that ended lately
    left_seconds: float | None  # None while nothing can be said
    workers: Sequence[WorkerActivity] = ()


@dataclass(slots=True, kw_only=True)
class ItemEnded:
    """An item reached its end."""

    run: str
    path: str
    state: ItemState
    seconds: float
    attempts: int
    reused: bool = False
    outputs: int = 0
    failure: dict[str, JSON] | None = None


@dataclass(slots=True)
class Tried:
    """An attempt that ended, as the ledger has written it down.

    `size` is its item's, `again` says that its task will be tried once more, and
    `last` that it has brought its item to its end.
    """

    kind: TaskKind
    size: int
    outcome: Outcome
    end: AttemptEnd
    again: bool = False
    last: bool = False


@dataclass(slots=True, kw_only=True)
class AttemptsEnded:
    """Attempts that ended together: one event for all of a batch, since there may be millions.

    `overdue` says that they are lost because their leases ran out, `refused`
    how many outcomes came too late to count.
    """

    run: str
    tried: Sequence[Tried]
    overdue: bool = False
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """Something a person should know: a word why the run waits, or what was retried."""

    run: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run reached its end, or its driver stopped working on it."""

    run: str
    state: RunState


Event = RunProgress | ItemEnded | AttemptsEnded | RunNote | RunEnded
Observer = Callable[[Event], None]
