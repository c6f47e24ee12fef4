"""Why one attempt at one task failed."""

from __future__ import annotations

from typing import ClassVar

from grange.errors.base import GrangeError


class TaskError(GrangeError):
    """Why one attempt at one task failed.

    `retryable` says whether trying again can help; `evidence` is plain data
    that a person needs to find the cause.
    """

    code = "task.error"
    retryable: ClassVar[bool] = True

    def __init__(
        self, message: str, *, hint: str = "", evidence: dict[str, object] | None = None
    ) -> None:
        """Add what was seen of the failure to its message."""
        super().__init__(message, hint=hint)
        self.evidence: dict[str, object] = evidence or {}


class InputMissing(TaskError):
    """The item's input is no longer there."""

    code = "input.missing"
    retryable = False


class InputUnreadable(TaskError):
    """The item's input can't be read."""

    code = "input.unreadable"
    retryable = False


class InputChanged(TaskError):
    """The item's input changed while it was worked on."""

    code = "input.changed"


class OutputRefused(TaskError):
    """What was written can't be published."""

    code = "output.refused"
    retryable = False


class CommandFailed(TaskError):
    """The command ended with an exit code other than 0."""

    code = "command.failed"


class CommandKilled(TaskError):
    """The command was ended by a signal."""

    code = "command.killed"


class CommandNotFound(TaskError):
    """The command's program is not on this machine."""

    code = "command.not_found"
    retryable = False


class PipelineFailed(TaskError):
    """The pipeline's code raised an exception."""

    code = "pipeline.failed"


class ModelFailed(TaskError):
    """A model stopped, or gave what is no result: numbers that are none, or a wrong shape."""

    code = "model.failed"
    retryable = False


class TaskTimedOut(TaskError):
    """The attempt took longer than its time limit."""

    code = "task.timed_out"


class MemoryExceeded(TaskError):
    """The attempt needed more memory than its limit."""

    code = "task.memory_exceeded"


class ReuseStale(TaskError):
    """An earlier result that was to be used again is not what it was."""

    code = "reuse.stale"


class WorkerLost(TaskError):
    """The worker died or fell silent while it held the task."""

    code = "worker.lost"
