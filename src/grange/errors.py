"""The one exception tree of Grange.

Every error that a user can meet is one of these. A class has a stable `code`
(what programs match on), a message (what happened, to what) and a hint (what
to do next). The CLI and the HTTP API each map the tree in one place.

    GrangeError
    ├── UsageError              the caller asked for something that makes no sense
    │   ├── SettingInvalid
    │   ├── ParameterInvalid
    │   ├── InputsInvalid
    │   └── PipelineInvalid
    ├── NotFound
    │   ├── RunNotFound
    │   ├── ItemNotFound
    │   └── PipelineNotFound
    ├── Conflict                the request is fine, the state of things is not
    │   ├── OutputInUse
    │   ├── RunBusy
    │   ├── RunEnded
    │   ├── RunIncomplete
    │   ├── ItemsFailed
    │   └── TransitionIllegal
    ├── ExtraMissing            an optional part is not installed
    ├── StoreError
    │   ├── StorePathRefused
    │   ├── StoreMissing
    │   ├── StoreFull
    │   ├── StoreDenied
    │   └── StoreCorrupt
    ├── DatabaseError
    │   ├── DatabaseUnreachable
    │   ├── DatabaseBusy
    │   ├── DatabaseFull
    │   ├── DatabaseNewer
    │   └── DatabaseCorrupt
    ├── EngineError
    │   ├── WorkerStartFailed
    │   └── ChannelBroken
    └── TaskError               why one attempt at one task failed
        ├── InputMissing
        ├── InputUnreadable
        ├── InputChanged
        ├── OutputRefused
        ├── CommandFailed
        ├── CommandKilled
        ├── CommandNotFound
        ├── PipelineFailed
        ├── TaskTimedOut
        ├── MemoryExceeded
        ├── ReuseStale
        └── WorkerLost
"""

from __future__ import annotations

from typing import ClassVar


class GrangeError(Exception):
    """The root of every error that Grange raises on purpose."""

    code: ClassVar[str] = "grange.error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message and the hint apart, so that each interface can lay them out.

        Args:
            message: What happened, and to what.
            hint: What to do next; empty when nothing can be said.
        """
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class UsageError(GrangeError):
    """The request itself is wrong: repeating it unchanged cannot help."""

    code = "usage"


class SettingInvalid(UsageError):
    """A setting has a value that its type or range refuses."""

    code = "setting.invalid"


class ParameterInvalid(UsageError):
    """A pipeline's parameter is unknown or has a value that it refuses."""

    code = "parameter.invalid"


class InputsInvalid(UsageError):
    """The inputs of a run name nothing that could be worked on."""

    code = "inputs.invalid"


class PipelineInvalid(UsageError):
    """A pipeline's own code can't be loaded or breaks the interface."""

    code = "pipeline.invalid"


class NotFound(GrangeError):
    """What was asked for does not exist."""

    code = "not_found"


class RunNotFound(NotFound):
    """No run has this id or name."""

    code = "run.not_found"


class ItemNotFound(NotFound):
    """The run has no item of this path."""

    code = "item.not_found"


class PipelineNotFound(NotFound):
    """No installed pipeline has this name."""

    code = "pipeline.not_found"


class Conflict(GrangeError):
    """The request is fine in itself, but not in the present state of things."""

    code = "conflict"


class OutputInUse(Conflict):
    """Another unfinished run writes to the same output folder."""

    code = "run.output_in_use"


class RunBusy(Conflict):
    """Another process is working on the run."""

    code = "run.busy"


class RunEnded(Conflict):
    """The run has ended, and what was asked needs one that has not."""

    code = "run.ended"


class RunIncomplete(Conflict):
    """The run's inputs have not all been taken in."""

    code = "run.incomplete"


class ItemsFailed(Conflict):
    """The run has ended, and not all of its items are done."""

    code = "run.items_failed"


class TransitionIllegal(Conflict):
    """A state change that the rules do not allow."""

    code = "state.illegal"


class ExtraMissing(GrangeError):
    """An optional part of Grange is not installed."""

    code = "extra.missing"


class StoreError(GrangeError):
    """The store could not do what was asked."""

    code = "store.error"


class StorePathRefused(StoreError):
    """A path that could lead out of the store, or that no store could hold."""

    code = "store.path_refused"


class StoreMissing(StoreError):
    """The store holds nothing under this path."""

    code = "store.missing"


class StoreFull(StoreError):
    """There is no room left in the store."""

    code = "store.full"


class StoreDenied(StoreError):
    """The store refuses access."""

    code = "store.denied"


class StoreCorrupt(StoreError):
    """Bytes in the store differ from what was recorded of them."""

    code = "store.corrupt"


class DatabaseError(GrangeError):
    """The database could not do what was asked."""

    code = "database.error"


class DatabaseUnreachable(DatabaseError):
    """The database can't be opened or has gone away."""

    code = "database.unreachable"


class DatabaseBusy(DatabaseError):
    """The database stayed locked by others for too long."""

    code = "database.busy"


class DatabaseFull(DatabaseError):
    """There is no room left for the database."""

    code = "database.full"


class DatabaseNewer(DatabaseError):
    """The database was written by a newer Grange."""

    code = "database.newer"


class DatabaseCorrupt(DatabaseError):
    """The database file is damaged."""

    code = "database.corrupt"


class EngineError(GrangeError):
    """The engine could not bring tasks to workers."""

    code = "engine.error"


class WorkerStartFailed(EngineError):
    """Worker processes end before they have taken any work."""

    code = "worker.start_failed"


class ChannelBroken(EngineError):
    """The other end of a worker's channel is gone or sends nonsense."""

    code = "channel.broken"


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
