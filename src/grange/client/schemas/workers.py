"""Workers: the machines that take work from a server, and the tokens by which they join."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from grange.client.schemas.basis import ONE_LINE, Answer, Request, Title
from grange.core.resources import LABEL, MOST_LABELS

StateName = Literal["active", "draining", "removed"]
PresenceName = Literal["up", "silent", "gone"]
StandingName = Literal["working", "idle", "draining", "cut_off", "misfit", "silent", "gone", "left"]

Label = Annotated[str, StringConstraints(pattern=rf"^{LABEL}$")]
Line = Annotated[str, StringConstraints(max_length=200, pattern=ONE_LINE)]
Labels = Annotated[list[Label], Field(max_length=2 * MOST_LABELS)]  # its own, and its token's
Count = Annotated[int, Field(ge=0, le=1 << 60)]
Measure = Annotated[float, Field(ge=0, le=1e18, allow_inf_nan=False)]
Port = Annotated[int, Field(ge=0, le=65_535)]
WorkerSecret = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{32,100}$")]

MOST_TASKS = 256
DAY_SECONDS = 86_400.0


class Said(BaseModel):
    """What a worker says. A newer one may say more than this server knows: that is passed over."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)


class Gpu(Said):
    """A GPU of a machine."""

    index: Annotated[int, Field(ge=0, le=1023)]
    name: Line = ""
    memory_bytes: Count = 0


class Capacity(Said):
    """What a worker has for tasks."""

    slots: Annotated[int, Field(ge=1, le=4096)] = 1
    cores: Annotated[float, Field(ge=0, le=65_536, allow_inf_nan=False)] = 1.0
    memory_bytes: Count = 0
    gpus: Annotated[list[Gpu], Field(max_length=64)] = Field(default_factory=list)


class Facts(Said):
    """What a machine says of itself when it joins."""

    name: Title
    capacity: Capacity = Field(default_factory=Capacity)
    labels: Labels = Field(default_factory=list)
    version: Annotated[str, StringConstraints(max_length=40, pattern=ONE_LINE)] = ""
    protocol: Annotated[int, Field(ge=0, le=1 << 30)] = 1
    system: Line = ""
    metrics_url: Annotated[str, StringConstraints(max_length=300, pattern=ONE_LINE)] = ""


class Joining(Said):
    """A token of `grange workers token`, a secret that the worker has just made, and its facts."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    secret: WorkerSecret
    facts: Facts


class Probe(Answer):
    """A file that the server can read: a worker that reads the same words there sees the folder."""

    path: str
    content: str


class Joined(Answer):
    """What a worker needs to take work. `engine` is a URL with credentials of its own.

    `site` is the word that the names of queues begin with.
    """

    worker: str
    name: str
    labels: list[str] = Field(default_factory=list)
    site: str
    engine: str
    probes: list[Probe] = Field(default_factory=list)
    beat_seconds: float
    lease_seconds: float
    version: str
    protocol: int


class TaskNow(Said):
    """A task that a worker is at."""

    run: Annotated[str, StringConstraints(max_length=10)]
    task: Count
    epoch: Count = 0
    seconds: Measure = 0.0
    progress: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    path: Annotated[str, StringConstraints(max_length=300)] = ""


class TaskSeen(Answer):
    """A task that a worker is at, as people see it; of a run that is not yours only how long."""

    run: str = ""
    run_name: str = ""
    pipeline: str = ""
    path: str = ""
    seconds: float = 0.0
    progress: float | None = None


class Beat(Said):
    """What a worker does right now. Counts and bytes are totals since its process began."""

    capacity: Capacity | None = None
    labels: Labels | None = None
    version: Annotated[str, StringConstraints(max_length=40, pattern=ONE_LINE)] = ""
    protocol: Annotated[int, Field(ge=0, le=1 << 30)] = 1
    metrics_url: Annotated[str, StringConstraints(max_length=300, pattern=ONE_LINE)] = ""
    node_port: Port = 0  # of a node exporter on the machine
    busy: Count = 0  # slots at work
    held: Count = 0  # tasks that it has taken and not begun
    tasks: Annotated[list[TaskNow], Field(max_length=MOST_TASKS)] = Field(default_factory=list)
    done: Count = 0
    failed: Count = 0
    cpu: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None  # of all cores
    load: Measure | None = None
    memory_used_bytes: Count = 0
    memory_bytes: Count = 0
    bytes_in: Count = 0
    bytes_out: Count = 0
    cache_bytes: Count = 0
    shares: Annotated[
        list[Annotated[str, StringConstraints(max_length=1000)]], Field(max_length=64)
    ] = Field(default_factory=list)  # folders of the server that it sees
    engine_up: bool = True
    leaving: bool = False  # it ends now, by itself


class Orders(Answer):
    """The answer to a beat.

    `fits` says whether the two versions understand each other, and `said` in words why not.
    """

    state: StateName
    beat_seconds: float
    lease_seconds: float
    version: str
    protocol: int
    fits: bool = True
    said: str = ""


class Worker(Answer):
    """A worker as people see it.

    `presence` follows from its last beat: up, silent, or gone; `standing` is
    the word that matters most. `per_minute` is how many tasks it has ended in
    each of the last minutes. `misfit` says why its version can't work with the
    server's, and is empty when it can.
    A task of a run that is not yours to see has no run and no path.
    """

    id: str
    name: str
    state: StateName
    presence: PresenceName
    standing: StandingName
    labels: list[str] = Field(default_factory=list)
    capacity: Capacity
    version: str = ""
    protocol: int = 1
    misfit: str = ""
    system: str = ""
    address: str = ""
    joined_at: float
    seen_at: float
    busy: int = 0
    held: int = 0
    tasks: list[TaskSeen] = Field(default_factory=list)
    done: int = 0
    failed: int = 0
    per_minute: float = 0.0
    cpu: float | None = None
    load: float | None = None
    memory_used_bytes: int = 0
    memory_bytes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    cache_bytes: int = 0
    shares: list[str] = Field(default_factory=list)
    engine_up: bool = True
    metrics_url: str = ""
    node_port: int = 0


class WorkerChange(Request):
    """What to change of a worker; what is left out stays."""

    name: Title | None = None
    state: Literal["active", "draining"] | None = None


class NewWorkerToken(Request):
    """A token by which machines may join: soon, and as many as are expected."""

    labels: Labels = Field(default_factory=list)
    expires_seconds: Annotated[float, Field(ge=10, le=30 * DAY_SECONDS)] = 900.0
    uses: Annotated[int, Field(ge=1, le=1000)] = 1


class WorkerToken(Answer):
    """A token by which machines may join, without its secret."""

    id: str
    labels: list[str] = Field(default_factory=list)
    uses: int
    used: int
    created_at: float
    expires_at: float


class MadeWorkerToken(Answer):
    """A new token with the line to paste on the machines, which is never shown again."""

    token: WorkerToken
    line: str
