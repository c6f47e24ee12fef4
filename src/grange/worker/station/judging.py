"""What becomes of an outcome: whether it is the task's, or only this machine's fault. Pure."""

from __future__ import annotations

from enum import StrEnum

from grange.core.tasks import Outcome, OutcomeState
from grange.errors import (
    ClaimEnded,
    CommandNotFound,
    ExtraMissing,
    ModelNotFound,
    PipelineInvalid,
    PipelineNotFound,
    StoreFull,
)
from grange.worker.station.routes import Way

# Another machine may have what this one lacks: so often it is given back before it counts.
PATIENCE = 2
FIRST_REST_SECONDS = 5.0

_LACKING = frozenset(
    one.code
    for one in (CommandNotFound, ExtraMissing, ModelNotFound, PipelineInvalid, PipelineNotFound)
)


class Verdict(StrEnum):
    """What is to be done with an outcome."""

    TELL = "tell"
    FULL = "full"  # this machine's disk is full: give it back, and take nothing new
    DOUBT = "doubt"  # a mount may be gone: look, before that is believed
    LACK = "lack"  # this machine lacks something: let another one try
    GONE = "gone"  # another worker was given the attempt, too, and was faster


def judge(outcome: Outcome, outputs: Way, *, mounted: bool, lacked: int) -> Verdict:
    """What is to be done.

    Args:
        outcome: What the workers have said.
        outputs: How the run's outputs leave.
        mounted: Whether the input or the outputs are on a mount, and nobody has looked whether
            that is still there: a command that misses its input fails in any way it likes.
        lacked: How often this task was given back from here for what is lacking.
    """
    failure = outcome.failure
    if outcome.state is not OutcomeState.FAILED or failure is None:
        return Verdict.TELL
    if failure.code == ClaimEnded.code:
        return Verdict.GONE
    if failure.code == StoreFull.code and outputs is not Way.MOUNT:
        return Verdict.FULL
    if mounted:
        return Verdict.DOUBT
    if failure.code in _LACKING and lacked < PATIENCE:
        return Verdict.LACK
    return Verdict.TELL


def given_back(outcome: Outcome) -> Outcome:
    """The outcome of an attempt that doesn't count."""
    return Outcome(outcome.task, outcome.epoch, OutcomeState.RETURNED, worker=outcome.worker)


def named(outcome: Outcome, station: str) -> Outcome:
    """The outcome, now with a name of its worker that says the machine, too."""
    outcome.worker = f"{station}/{outcome.worker}" if outcome.worker else station
    return outcome
