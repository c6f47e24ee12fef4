"""Pipelines, runs, items, attempts, outputs, events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from grange.client.schemas.basis import (
    JSON,
    ONE_LINE,
    Answer,
    Digest,
    Id,
    Request,
    Title,
)
from grange.core.resources import LABEL, MOST_BYTES, MOST_CORES, MOST_GPUS, MOST_LABELS

RunStateName = Literal[
    "submitting", "waiting", "running", "paused", "cancelling", "done", "failed", "cancelled"
]
ItemStateName = Literal["waiting", "running", "publishing", "done", "failed", "cancelled"]
Glob = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
PathText = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


# In the archive of an export: what people should know of it, a line each.
REMARKS_FILE = "remarks.txt"


class Pipeline(Answer):
    """A kind of analysis. `parameters` is a JSON schema; `allowed` whether you may run it."""

    name: str
    version: str
    summary: str
    description: str = ""
    accepts: list[str]
    exports: list[str] = Field(default_factory=list)
    parameters: dict[str, JSON]
    allowed: bool = True


class FolderInput(Request):
    """A folder that was sent to the server."""

    folder: Id


class ShareInput(Request):
    """A file or folder that the server sees itself: in its shared folders, or its buckets."""

    share: PathText


class NewNeeds(Request):
    """What each task of a run takes of a worker, in the place of what its pipeline says.

    With `gpu_memory_bytes` a GPU may be shared; `labels` are those a worker has to have.
    """

    cores: Annotated[float, Field(ge=0.01, le=MOST_CORES)] | None = None
    memory_bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)] | None = None
    gpus: Annotated[int, Field(ge=0, le=MOST_GPUS)] | None = None
    gpu_memory_bytes: Annotated[int, Field(ge=0, le=MOST_BYTES)] | None = None
    labels: (
        Annotated[
            list[Annotated[str, StringConstraints(pattern=f"^{LABEL}$")]],
            Field(max_length=MOST_LABELS),
        ]
        | None
    ) = None


class NewRun(Request):
    """A pipeline over inputs. Parameters are typed in `params`, or NAME=VALUE in `settings`."""

    pipeline: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    inputs: Annotated[list[FolderInput | ShareInput], Field(min_length=1, max_length=100)]
    params: dict[str, JSON] = Field(default_factory=dict)
    settings: Annotated[
        list[Annotated[str, StringConstraints(max_length=65_536)]], Field(max_length=1000)
    ] = Field(default_factory=list)
    include: Annotated[list[Glob], Field(max_length=100)] = Field(default_factory=list)
    exclude: Annotated[list[Glob], Field(max_length=100)] = Field(default_factory=list)
    retries: Annotated[int, Field(ge=0, le=100)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=365 * 86_400)] | None = None
    name: Annotated[str, StringConstraints(max_length=200, pattern=ONE_LINE)] = ""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    group: Id | None = None  # whose members may look at it too
    needs: NewNeeds | None = None
    out: PathText | None = None  # a bucket's folder for the results, as in `s3://bucket/folder`


class RunChange(Request):
    """What to change of a run; what is left out stays. An empty group shares it with nobody."""

    name: Title | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] | None = None
    group: Id | Literal[""] | None = None


class Counts(Answer):
    """How many items are in which state."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    reused: int = 0


class Run(Answer):
    """A run. `waits` says in words why nothing happens, where that is so."""

    id: str
    name: str
    state: RunStateName
    owner: str
    owner_name: str = ""
    group: str = ""
    priority: int
    pipeline: str
    version: str
    params: dict[str, JSON]
    models: dict[str, str]
    inputs: dict[str, JSON]
    retries: int
    timeout_seconds: float | None
    note: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    counts: Counts
    bytes_total: int
    driver: str | None = None
    needs: dict[str, JSON] = Field(default_factory=dict)  # of each task, where it is unusual
    skipped: dict[str, int] = Field(default_factory=dict)
    resumed: bool = False
    waits: str = ""
    out: str = ""  # the bucket's folder that was named for the results


class RunPlan(Answer):
    """What a run would do: the answer to a dry run."""

    pipeline: str
    version: str
    params: dict[str, JSON]
    models: dict[str, str]
    items: int
    bytes: int
    skipped: dict[str, int]
    examples: list[str]


class OutputFile(Answer):
    """A file that a run has published; `path` is below the run's outputs."""

    path: str
    size: int
    sha256: str | None = None
    item: int | None = None


class Item(Answer):
    """An item."""

    id: int
    path: str
    size: int
    state: ItemStateName
    attempts: int
    seconds: float
    sha256: str | None
    reused: bool
    result: JSON = None
    failure: dict[str, JSON] | None
    ended_at: float | None
    outputs: list[OutputFile] = Field(default_factory=list)


class Attempt(Answer):
    """An ended attempt. `out_bytes` and `err_bytes` are the sizes of its logs, if there are any."""

    task: int
    epoch: int
    kind: str
    part: int
    end: str
    worker: str
    ended_at: float
    seconds: float
    peak_bytes: int
    failure: dict[str, JSON] | None
    out_bytes: int | None = None
    err_bytes: int | None = None


class FailureGroup(Answer):
    """Failed items that share a reason."""

    code: str
    count: int
    message: str
    example: str


class Cells(Answer):
    """All items of a run at a glance, in their order.

    Each character of `states` stands for `per_cell` items by the state that
    matters most among them: w waiting, r running, f failed, d done, c cancelled.
    """

    total: int
    per_cell: int
    first_ids: list[int]
    states: str


class WorkerSpan(Answer):
    """One attempt: which worker was busy with which item from when to when."""

    worker: str
    began_at: float
    ended_at: float
    end: str
    item: int
    path: str


class TimeLine(Answer):
    """What the workers of a run did for the items that ended last, in the order of time."""

    began_at: float
    ended_at: float
    spans: list[WorkerSpan]


class WorkerActivity(Answer):
    """What one worker is doing. `worker` is its id where it is one of another machine."""

    name: str
    worker: str | None = None
    item: str | None
    kind: str | None
    seconds: float
    progress: float | None = None
    silent: bool = False


class RunSnapshot(Answer):
    """The event `run`: how a run stands now. Only the newest one counts."""

    id: str
    name: str
    state: RunStateName
    counts: Counts
    per_second: float
    left_seconds: float | None
    elapsed_seconds: float
    note: str = ""
    driven: bool = False
    workers: list[WorkerActivity] = Field(default_factory=list)


class ItemsEnded(Answer):
    """The event `items`: items of a run that reached their ends, in that order, each once."""

    run: str
    items: list[EndedItem]


class EndedItem(Answer):
    """An item that reached its end."""

    id: int
    path: str
    state: ItemStateName
    seconds: float
    attempts: int
    reused: bool = False
    outputs: int = 0
    failure: dict[str, JSON] | None = None


class DigestedFile(Answer):
    """A file by its content."""

    path: PathText
    size: Annotated[int, Field(ge=0)]
    sha256: Digest


ItemsEnded.model_rebuild()
