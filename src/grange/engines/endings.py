"""How an attempt ends whose worker can't say so any more."""

from __future__ import annotations

import signal
import time

from grange.core.tasks import Failure, Job, Outcome, OutcomeState, Task
from grange.engines.process import WorkerProcess
from grange.engines.register import Reading


def lost(worker: WorkerProcess, held: tuple[Job, Task], reading: Reading) -> Outcome:
    """The worker was killed or has ended while it was at this task."""
    code = worker.process.returncode
    evidence: dict[str, object] = (
        {"signal": _signal_name(-code)} if code < 0 else {"exit_code": code}
    )
    words = end_words(code)
    if worker.was_silent:
        evidence["silent_seconds"] = round(time.monotonic() - reading.beat, 1)
        words = "gave no sign of life any more and was killed"
    failure = Failure(
        "worker.lost",
        f"The worker {words} while it was at this task.",
        evidence={**evidence, "last_words": worker.last_words()},
    )
    return _ended(worker, held, reading, OutcomeState.LOST, failure)


def timed_out(worker: WorkerProcess, held: tuple[Job, Task], reading: Reading) -> Outcome:
    """The task was over its time, and its worker was killed for it."""
    limit = held[0].timeout_seconds
    failure = Failure(
        "task.timed_out",
        f"The attempt took longer than {limit:g} seconds and was killed.",
        evidence={"limit_seconds": limit, "last_words": worker.last_words()},
    )
    return _ended(worker, held, reading, OutcomeState.FAILED, failure)


def end_words(code: int) -> str:
    """How a process of this return code has ended."""
    if code < 0:
        return f"was killed by {_signal_name(-code)}"
    return f"ended with exit code {code}"


def _ended(
    worker: WorkerProcess,
    held: tuple[Job, Task],
    reading: Reading,
    state: OutcomeState,
    failure: Failure,
) -> Outcome:
    job, task = held
    worker.keep_logs(job, task)
    return Outcome(
        task.id,
        task.epoch,
        state,
        seconds=time.monotonic() - reading.begun,
        worker=worker.name,
        failure=failure,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
