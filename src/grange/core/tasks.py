"""What travels between the ledger, an engine and its workers.

Everything here is plain data that JSON can carry: a local worker, one behind
a broker and one on another machine are told the same and answer the same.
What there are many of is not frozen, which would make it four times as slow
to make; treat it as if it were.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from grange.core.resources import Needs, needs_from_json, needs_to_json

JSON = Any  # what json.dumps takes; the standard library has no narrower type for it


class TaskKind(StrEnum):
    """What a worker is asked to do for an item (or, for `report`, for the whole run)."""

    DIGEST = "digest"  # read the input, to learn whether its result is known already
    COPY = "copy"  # bring the outputs of an earlier, equal piece of work here
    SPLIT = "split"
    PROCESS = "process"
    MERGE = "merge"
    REPORT = "report"


@dataclass(slots=True)
class Output:
    """A file that a task wrote, relative to its item's folder."""

    path: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: a stable code, words, and what was seen."""

    code: str
    message: str
    retryable: bool = True
    evidence: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """What all tasks of one run have in common; sent along with each batch.

    `pipeline` is a name that the worker's catalogue finds, or the path of a
    file; a worker that finds another `version` refuses. `store` is the URL of
    where outputs go, `logs` a folder, `kept` the folder of what stages of
    pipelines keep for later runs; without one nothing is kept. `needs` is what
    each task takes of a worker. Below `work`, a folder of the machine that works,
    lie inputs that were fetched, at most `work_bytes` of them, and what is built for
    a store that lies elsewhere; without one the system's temporary folder has to do.
    """

    run: str
    pipeline: str
    params: dict[str, JSON]
    store: str
    logs: str
    version: str = ""
    timeout_seconds: float | None = None
    origin: dict[str, JSON] = field(default_factory=dict)
    kept: str = ""
    kept_bytes: int = 0
    needs: Needs = field(default_factory=Needs)
    work: str = ""
    work_bytes: int = 0


@dataclass(slots=True)
class Task:
    """One unit of work, of one attempt: `epoch` tells it from every other attempt.

    `path` is the item's path in the run, `uri` where its bytes are, `sha256`
    their digest when it is known. `payload` is what the kind needs: the part
    to process, the parts to merge, the outputs to copy.
    """

    id: int
    epoch: int
    kind: TaskKind
    path: str = ""
    uri: str = ""
    size: int = 0
    mtime_ns: int = 0
    sha256: str | None = None
    part: int = 0
    payload: JSON = None

    @property
    def token(self) -> str:
        """The name of this attempt's logs: no two attempts of a run share it."""
        return f"{self.id}-{self.epoch}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Tasks of one job that travel together."""

    job: Job
    tasks: tuple[Task, ...]


class OutcomeState(StrEnum):
    """How an attempt came back."""

    DONE = "done"
    FAILED = "failed"
    LOST = "lost"  # the worker is gone; counts as an attempt
    RETURNED = "returned"  # never begun; does not count


@dataclass(slots=True)
class Outcome:
    """What came of one attempt.

    `result` is the task's own small answer: the parts of a split, the record
    of a process. `outputs` are staged under the task's token, not published.
    `merged` says of a split that there was one part only, which the worker
    has processed and merged at once: result and outputs are the item's.
    `counts` are what the pipeline has counted on the way, for who watches.
    """

    task: int
    epoch: int
    state: OutcomeState
    seconds: float = 0.0
    worker: str = ""
    sha256: str | None = None
    outputs: tuple[Output, ...] = ()
    result: JSON = None
    failure: Failure | None = None
    peak_bytes: int = 0
    merged: bool = False
    counts: dict[str, float] = field(default_factory=dict)


def staging_token(run: str, task: int, epoch: int) -> str:
    """The name of an attempt's staging folder: no two attempts share it, in any ledger."""
    return f"{run}-{task}-{epoch}"


def part_token(token: str) -> str:
    """Where an attempt that goes on to merge an item's only part stages what that part leaves."""
    return f"{token}{_PART}"


def incoming_token(token: str) -> str:
    """Where outputs lie that come from a worker on another machine, until each is whole."""
    return f"{token}{_INCOMING}"


def own_token(token: str, worker: str) -> str:
    """Where one of several machines that share a store stages an attempt, until it is done.

    Should two of them be given the same attempt, neither writes into what the other makes.
    """
    return f"{token}{_OWN}{worker}"


def attempt_token(token: str) -> str:
    """The token of the attempt that has made a staging folder, or one beside it."""
    return token.partition(_OWN)[0].removesuffix(_PART).removesuffix(_INCOMING)


def batch_to_json(batch: Batch) -> dict[str, JSON]:
    """The batch as plain data; what a task doesn't have is left out."""
    return {"job": job_to_json(batch.job), "tasks": [task_to_json(task) for task in batch.tasks]}


def job_to_json(job: Job) -> dict[str, JSON]:
    """The job as plain data, as `batch_to_json` has it; not a copy of its parameters."""
    data = {name: getattr(job, name) for name in _JOB_FIELDS}
    if needs := needs_to_json(job.needs):
        data["needs"] = needs
    return data


def job_from_json(data: dict[str, JSON]) -> Job:
    """The job that `job_to_json` took apart; what only a newer version knows is left out."""
    known = {name: data[name] for name in _JOB_FIELDS if name in data}
    return Job(**known, needs=needs_from_json(data.get("needs", {})))


def task_to_json(task: Task) -> dict[str, JSON]:
    """A task as plain data, as `batch_to_json` has it."""
    data = {
        "id": task.id,
        "epoch": task.epoch,
        "kind": task.kind,
        "path": task.path,
        "uri": task.uri,
        "size": task.size,
        "mtime_ns": task.mtime_ns,
    }
    if task.sha256 is not None:
        data["sha256"] = task.sha256
    if task.part:
        data["part"] = task.part
    if task.payload is not None:
        data["payload"] = task.payload
    return data


def batch_from_json(data: dict[str, JSON]) -> Batch:
    """The batch that `batch_to_json` took apart."""
    tasks = []
    for one in data["tasks"]:
        task = Task(**one)
        task.kind = _KINDS[task.kind]
        tasks.append(task)
    return Batch(job=job_from_json(data["job"]), tasks=tuple(tasks))


def outcome_to_json(outcome: Outcome) -> dict[str, JSON]:
    """The outcome as plain data, defaults left out."""
    data: dict[str, JSON] = {
        "task": outcome.task,
        "epoch": outcome.epoch,
        "state": outcome.state,
        "seconds": outcome.seconds,
        "worker": outcome.worker,
    }
    if outcome.sha256 is not None:
        data["sha256"] = outcome.sha256
    if outcome.outputs:
        data["outputs"] = [
            [one.path, one.size, one.sha256, one.mtime_ns] for one in outcome.outputs
        ]
    if outcome.result is not None:
        data["result"] = outcome.result
    if outcome.failure is not None:
        data["failure"] = asdict(outcome.failure)
    if outcome.peak_bytes:
        data["peak_bytes"] = outcome.peak_bytes
    if outcome.merged:
        data["merged"] = True
    if outcome.counts:
        data["counts"] = outcome.counts
    return data


def outcome_from_json(data: dict[str, JSON]) -> Outcome:
    """The outcome that `outcome_to_json` took apart."""
    outcome = Outcome(**data)
    outcome.state = _STATES[outcome.state]
    if outcome.outputs:
        outcome.outputs = tuple([Output(*one) for one in data["outputs"]])
    if outcome.failure is not None:
        outcome.failure = Failure(**data["failure"])
    return outcome


_PART = "-part"
_INCOMING = "-incoming"
_OWN = ".of-"
_JOB_FIELDS = tuple(one.name for one in fields(Job) if one.name != "needs")
# Quicker than to call the classes.
_KINDS = {str(kind): kind for kind in TaskKind}
_STATES = {str(state): state for state in OutcomeState}
