"""The pure state machine of tasks, walked by Hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
)

from grange.core.states import (
    ITEM_MOVES,
    ITEM_REOPENS,
    RUN_MOVES,
    RUN_REOPENS,
    TASK_MOVES,
    AttemptEnd,
    ItemState,
    RunState,
    TaskState,
    move,
    sources,
)
from grange.core.tasks import OutcomeState
from grange.errors import TransitionIllegal
from grange.runs import machine
from grange.runs.machine import LONGEST_DELAY_SECONDS, Policy, TaskRecord

POLICY = Policy(retries=2, delay_seconds=1.0)
LEASE = 10.0


class LifeOfATask(RuleBasedStateMachine):
    """Everything that can happen to one task, in any order, with late and doubled messages."""

    live = Bundle("live")  # epochs that some worker may still answer for

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.task = TaskRecord(id=7)
        self.ends: list[tuple[int, AttemptEnd]] = []
        self.epochs: list[int] = []
        self.ended_as: TaskState | None = None

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=live)
    def is_claimed(self) -> object:
        claimed = machine.claim(self.task, now=self.now, lease_seconds=LEASE)
        if claimed is None:
            return multiple()
        self.task = claimed
        self.epochs.append(claimed.epoch)
        return claimed.epoch

    @rule(epoch=live, state=st.sampled_from(OutcomeState), retryable=st.booleans())
    def answers_and_may_answer_again(
        self, epoch: int, state: OutcomeState, retryable: bool
    ) -> None:
        self._conclude(epoch, state, retryable=retryable)

    @rule(epoch=consumes(live), state=st.sampled_from(OutcomeState))
    def answers_for_the_last_time(self, epoch: int, state: OutcomeState) -> None:
        self._conclude(epoch, state, retryable=True)

    @rule()
    def lease_is_looked_at(self) -> None:
        verdict = machine.expire(self.task, policy=POLICY, now=self.now)
        if verdict is not None:
            assert self.task.lease_until is not None
            assert self.task.lease_until <= self.now
            self._accept(verdict)

    @rule()
    def driver_dies(self) -> None:
        verdict = machine.release(self.task)
        if verdict is not None:
            self._accept(verdict)

    @rule()
    def is_cancelled(self) -> None:
        self.task = machine.cancel(self.task)

    def _conclude(self, epoch: int, state: OutcomeState, *, retryable: bool) -> None:
        verdict = machine.conclude(
            self.task, state, epoch=epoch, retryable=retryable, policy=POLICY, now=self.now
        )
        current = self.task.state is TaskState.RUNNING and self.task.epoch == epoch
        assert (verdict is not None) == current
        if verdict is not None:
            self._accept(verdict)

    def _accept(self, verdict: machine.Verdict) -> None:
        self.ends.append((verdict.epoch, verdict.end))
        self.task = verdict.task

    @invariant()
    def no_two_attempts_share_an_epoch(self) -> None:
        assert len(set(self.epochs)) == len(self.epochs)
        ended = [epoch for epoch, _ in self.ends]
        assert len(set(ended)) == len(ended)

    @invariant()
    def ends_are_final(self) -> None:
        if self.ended_as is not None:
            assert self.ended_as is self.task.state
        if self.task.state.is_finished():
            self.ended_as = self.task.state

    @invariant()
    def the_task_is_never_lost(self) -> None:
        if self.task.state is TaskState.WAITING:
            late = replace(self.task)
            soon = self.task.not_before + 1
            assert machine.claim(late, now=soon, lease_seconds=LEASE) is not None
        if self.task.state is TaskState.RUNNING:
            assert self.task.lease_until is not None

    @invariant()
    def only_real_attempts_count(self) -> None:
        counted = [end for _, end in self.ends if end is not AttemptEnd.RETURNED]
        assert len(counted) == self.task.attempts
        assert self.task.attempts <= POLICY.retries + 1


TestLifeOfATask = LifeOfATask.TestCase


def test_an_input_that_kills_three_workers_is_set_aside() -> None:
    """Two retries mean three attempts; after the third loss the task has failed."""
    task = TaskRecord(id=1)
    for _ in range(3):
        claimed = machine.claim(task, now=1e6, lease_seconds=LEASE)
        assert claimed is not None
        verdict = machine.conclude(
            claimed, OutcomeState.LOST, epoch=claimed.epoch, retryable=True, policy=POLICY, now=0
        )
        assert verdict is not None
        task = verdict.task

    assert TaskState.FAILED is task.state


@given(attempts=st.integers(1, 60), number=st.integers(1, 10**9))
def test_delays_double_are_bounded_and_are_the_same_each_time(attempts: int, number: int) -> None:
    """A delay follows from the task and its attempt alone, and is at most five minutes."""
    task = TaskRecord(id=number, attempts=attempts, epoch=attempts)

    delay = machine.delay_seconds(task, POLICY)

    assert delay == machine.delay_seconds(task, POLICY)
    assert min(0.75 * 2 ** (attempts - 1), LONGEST_DELAY_SECONDS) <= delay
    assert delay <= LONGEST_DELAY_SECONDS


@pytest.mark.parametrize(
    ("kind", "moves"), [(RunState, RUN_MOVES), (ItemState, ITEM_MOVES), (TaskState, TASK_MOVES)]
)
def test_every_state_can_be_reached_and_every_way_leads_to_an_end(
    kind: Any, moves: dict[Any, frozenset[Any]]
) -> None:
    """The tables name every state; each but an end leads on, and an end leads nowhere."""
    for state in kind:
        assert state.is_finished() == (not moves[state])
        if not state.is_finished():
            assert _reaches_an_end(state, moves)
    begin = next(iter(kind))
    assert all(state is begin or sources(state) for state in kind)


def test_an_illegal_move_is_refused_by_name() -> None:
    """The error says from where to where."""
    with pytest.raises(TransitionIllegal, match="from done to running"):
        move(TaskState.DONE, TaskState.RUNNING)


def test_only_failed_and_cancelled_ends_can_be_opened_again() -> None:
    """What is done stays done, whatever anybody asks."""
    assert RunState.DONE not in RUN_REOPENS
    assert ItemState.DONE not in ITEM_REOPENS


def _reaches_an_end(state: Any, moves: dict[Any, frozenset[Any]]) -> bool:
    seen, open_states = set[Any](), [state]
    while open_states:
        one = open_states.pop()
        if one in seen:
            continue
        seen.add(one)
        open_states += moves[one]
    return any(one.is_finished() for one in seen)
