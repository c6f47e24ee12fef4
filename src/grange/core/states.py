"""States and their legal transitions, as plain data.

The tables are the only place that says what may follow what; the ledger asks
`move` before it writes. Ends are final: nothing but a person's own `retry`
leads out of one, and that is a transition with a name of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeVar

from grange.errors import TransitionIllegal


class RunState(StrEnum):
    """Where a run is."""

    SUBMITTING = "submitting"  # its items are being taken in
    WAITING = "waiting"  # complete, and nobody works on it
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"  # to be stopped by whoever works on it
    DONE = "done"  # every item done
    FAILED = "failed"  # ended, with items that failed
    CANCELLED = "cancelled"

    def is_finished(self) -> bool:
        """Whether this is an end."""
        return self in RUN_ENDS


class ItemState(StrEnum):
    """Where an item is."""

    WAITING = "waiting"
    RUNNING = "running"  # at least one of its tasks is planned
    PUBLISHING = "publishing"  # its result is accepted, its outputs are on their way to their names
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    def is_finished(self) -> bool:
        """Whether this is an end."""
        return self in ITEM_ENDS


class TaskState(StrEnum):
    """Where a task is."""

    WAITING = "waiting"
    RUNNING = "running"  # claimed: it has an epoch, a holder and a lease
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    def is_finished(self) -> bool:
        """Whether this is an end."""
        return self in TASK_ENDS


class AttemptEnd(StrEnum):
    """How an attempt at a task ended."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"  # its worker died or fell silent: counts as an attempt
    RETURNED = "returned"  # handed back without having been begun: does not count
    CANCELLED = "cancelled"


RUN_ENDS: Final = frozenset({RunState.DONE, RunState.FAILED, RunState.CANCELLED})
ITEM_ENDS: Final = frozenset({ItemState.DONE, ItemState.FAILED, ItemState.CANCELLED})
TASK_ENDS: Final = frozenset({TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED})

RUN_MOVES: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.SUBMITTING: frozenset({RunState.WAITING, RunState.CANCELLED}),
    RunState.WAITING: frozenset(
        {RunState.SUBMITTING, RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED}
    ),
    RunState.RUNNING: frozenset(
        {
            RunState.WAITING,
            RunState.PAUSED,
            RunState.CANCELLING,
            RunState.DONE,
            RunState.FAILED,
        }
    ),
    RunState.PAUSED: frozenset({RunState.WAITING, RunState.RUNNING, RunState.CANCELLED}),
    RunState.CANCELLING: frozenset({RunState.CANCELLED}),
    RunState.DONE: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELLED: frozenset(),
}

ITEM_MOVES: Final[dict[ItemState, frozenset[ItemState]]] = {
    ItemState.WAITING: frozenset(
        {ItemState.RUNNING, ItemState.DONE, ItemState.FAILED, ItemState.CANCELLED}
    ),
    ItemState.RUNNING: frozenset(
        {
            ItemState.WAITING,
            ItemState.PUBLISHING,
            ItemState.DONE,
            ItemState.FAILED,
            ItemState.CANCELLED,
        }
    ),
    # From here back to waiting only when the staged outputs are gone.
    ItemState.PUBLISHING: frozenset({ItemState.DONE, ItemState.FAILED, ItemState.WAITING}),
    ItemState.DONE: frozenset(),
    ItemState.FAILED: frozenset(),
    ItemState.CANCELLED: frozenset(),
}

TASK_MOVES: Final[dict[TaskState, frozenset[TaskState]]] = {
    TaskState.WAITING: frozenset({TaskState.RUNNING, TaskState.CANCELLED}),
    TaskState.RUNNING: frozenset(
        {TaskState.WAITING, TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED}
    ),
    TaskState.DONE: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}

# What `retry` may do, and nothing else may: open an end again.
RUN_REOPENS: Final = frozenset({RunState.FAILED, RunState.CANCELLED})
ITEM_REOPENS: Final = frozenset({ItemState.FAILED, ItemState.CANCELLED})

# What `watch` may do besides: go on with a run that has ended, since more has come, and
# begin an item anew whose file was replaced.
RUN_GROWS: Final = frozenset({RunState.DONE, RunState.FAILED})
ITEM_RENEWS: Final = ITEM_ENDS

State = TypeVar("State", RunState, ItemState, TaskState)


def move(old: State, new: State) -> State:
    """The new state, when the rules let it follow the old one.

    Raises:
        TransitionIllegal: They don't.
    """
    if new not in _moves(old):
        message = f"{type(old).__name__} can't go from {old} to {new}."
        raise TransitionIllegal(message)
    return new


def sources(new: State) -> tuple[State, ...]:
    """The states that may lead to this one: what a guarded UPDATE puts into its WHERE."""
    return tuple(old for old in type(new) if new in _moves(old))


def _moves(old: State) -> frozenset[State]:
    if isinstance(old, RunState):
        return RUN_MOVES[old]
    if isinstance(old, ItemState):
        return ITEM_MOVES[old]
    return TASK_MOVES[old]
