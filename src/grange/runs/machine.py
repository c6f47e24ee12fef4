"""What may become of a task: pure decisions, no clock, no database.

The ledger loads a task, asks here, and writes down the verdict. So the whole
life of a task is in one file, and Hypothesis can walk it without a database.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from grange.core.states import AttemptEnd, TaskState, move
from grange.core.tasks import OutcomeState

# The longest that a task waits between two attempts.
LONGEST_DELAY_SECONDS = 300.0


@dataclass(slots=True)
class TaskRecord:
    """What decides over a task."""

    id: int
    state: TaskState = TaskState.WAITING
    epoch: int = 0  # counts every claim
    attempts: int = 0  # counts the claims that were really tried
    not_before: float = 0.0
    lease_until: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How often to try, and how long to wait before the second time."""

    retries: int = 2
    delay_seconds: float = 1.0


@dataclass(slots=True)
class Verdict:
    """What becomes of the task, and how the attempt is remembered."""

    task: TaskRecord
    end: AttemptEnd
    epoch: int


def claim(task: TaskRecord, *, now: float, lease_seconds: float) -> TaskRecord | None:
    """The task with its next epoch and a lease; None when it can't be claimed now."""
    wait = task.not_before - now
    if task.state is not TaskState.WAITING or 0 < wait <= LONGEST_DELAY_SECONDS:
        return None  # What is to wait for longer was said before the clock was set back.
    return replace(
        task,
        state=move(task.state, TaskState.RUNNING),
        epoch=task.epoch + 1,
        lease_until=now + lease_seconds,
    )


def conclude(
    task: TaskRecord,
    outcome: OutcomeState,
    *,
    epoch: int,
    retryable: bool,
    policy: Policy,
    now: float,
) -> Verdict | None:
    """What an outcome makes of its task; None when its attempt no longer counts."""
    if task.state is not TaskState.RUNNING or task.epoch != epoch:
        return None
    if outcome is OutcomeState.RETURNED:
        return release(task)
    tried = replace(task, attempts=task.attempts + 1, lease_until=None)
    if outcome is OutcomeState.DONE:
        return Verdict(_to(tried, TaskState.DONE), AttemptEnd.DONE, epoch)
    end = AttemptEnd.LOST if outcome is OutcomeState.LOST else AttemptEnd.FAILED
    if not retryable or tried.attempts > policy.retries:
        return Verdict(_to(tried, TaskState.FAILED), end, epoch)
    again = replace(tried, not_before=now + delay_seconds(tried, policy))
    return Verdict(_to(again, TaskState.WAITING), end, epoch)


def expire(task: TaskRecord, *, policy: Policy, now: float) -> Verdict | None:
    """What a lease that ran out makes of the task: a lost attempt. None while it holds."""
    if task.state is not TaskState.RUNNING or task.lease_until is None or task.lease_until > now:
        return None
    return conclude(
        task, OutcomeState.LOST, epoch=task.epoch, retryable=True, policy=policy, now=now
    )


def release(task: TaskRecord) -> Verdict | None:
    """Hand a claimed task back without counting the attempt; None when it is not claimed."""
    if task.state is not TaskState.RUNNING:
        return None
    freed = replace(task, lease_until=None)
    return Verdict(_to(freed, TaskState.WAITING), AttemptEnd.RETURNED, task.epoch)


def cancel(task: TaskRecord) -> TaskRecord:
    """The task, called off; one that has ended stays as it is."""
    if task.state.is_finished():
        return task
    return _to(replace(task, lease_until=None), TaskState.CANCELLED)


def delay_seconds(task: TaskRecord, policy: Policy) -> float:
    """How long to wait before the next attempt: doubling, with a spread that is the same each time.

    The spread keeps tasks that failed together from coming back together.
    """
    doubled = policy.delay_seconds * 2.0 ** min(task.attempts - 1, 20)
    seed = hashlib.blake2b(f"{task.id}-{task.epoch}".encode(), digest_size=2).digest()
    spread = 0.75 + 0.5 * int.from_bytes(seed) / 65535
    return min(doubled * spread, LONGEST_DELAY_SECONDS)


def _to(task: TaskRecord, state: TaskState) -> TaskRecord:
    return replace(task, state=move(task.state, state))
