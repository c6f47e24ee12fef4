"""The types of the runs domain: what callers ask for, and what they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grange.core.resources import Needs
from grange.core.states import ItemState, RunState

JSON = Any

# The names at the top of an output folder that are Grange's own.
RUN_FILE = "run.json"
ITEMS_FILE = "items.jsonl"
REPORT_FILE = "report.html"
REPORT_FOLDER = "report"  # what the pipeline itself says of the whole run


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a person asks for: a pipeline, inputs as they were typed, where outputs go.

    `settings` are NAME=VALUE texts from a command line, `params` typed values
    from a program; both may be given, params win.
    """

    pipeline: str
    inputs: Sequence[str]
    out: str
    settings: Sequence[str] = ()
    params: Mapping[str, JSON] = field(default_factory=dict)
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    workers: int | None = None
    retries: int = 2
    timeout_seconds: float | None = None
    name: str = ""
    priority: int = 0
    group: str = ""  # on a server: the group whose members may look at the run
    needs: Mapping[str, JSON] = field(default_factory=dict)  # in the place of the pipeline's own
    cwd: str = ""


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """A request made exact: what the ledger is told of a run.

    `pipeline` is what a worker's catalogue finds again (a name, or the
    absolute path of a file). `function_key` addresses what decides the bytes
    of a result besides the input; `out` is a store's URL.
    """

    pipeline: str
    version: str
    params: Mapping[str, JSON]
    function_key: str
    out: str
    inputs: Mapping[str, JSON]
    models: Mapping[str, str] = field(default_factory=dict)
    splits: bool = False
    reports: bool = False
    reads_name: bool = True
    retries: int = 2
    timeout_seconds: float | None = None
    name: str = ""
    priority: int = 0
    needs: Needs = field(default_factory=Needs)  # of each task
    cwd: str = ""
    roots: Sequence[tuple[str, str]] = ()  # (label, path) of each input, where that is kept
    owner: str | None = None  # the user whose run it is, on a server
    shared_with: str | None = None  # the group whose members may look at it


@dataclass(slots=True)
class NewItem:
    """An input found: its path in the run, where its bytes are, and what the file system says."""

    path: str
    uri: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Counts:
    """How many items of a run are in which state."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    reused: int = 0  # of those done, how many were known already

    @property
    def ended(self) -> int:
        """Items that reached an end."""
        return self.done + self.failed + self.cancelled

    @property
    def left(self) -> int:
        """Items that have not."""
        return self.total - self.ended


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run as people see it."""

    number: int
    id: str
    name: str
    state: RunState
    priority: int
    pipeline: str
    version: str
    params: dict[str, JSON]
    models: dict[str, str]
    inputs: dict[str, JSON]
    out: str
    retries: int
    timeout_seconds: float | None
    note: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    counts: Counts
    bytes_total: int
    driver: str | None = None
    owner: str | None = None
    shared_with: str | None = None
    needs: Needs = field(default_factory=Needs)

    @property
    def interrupted(self) -> bool:
        """Unfinished, and nobody works on it."""
        return not self.state.is_finished() and self.driver is None


@dataclass(frozen=True, kw_only=True)
class ItemView:
    """An item as people see it."""

    id: int
    path: str
    uri: str
    size: int
    state: ItemState
    attempts: int
    seconds: float
    sha256: str | None
    reused: bool
    result: JSON
    failure: dict[str, JSON] | None
    ended_at: float | None
    outputs: tuple[dict[str, JSON], ...] = ()
    mtime_ns: int = 0  # of the input when it was submitted; 0 where that is not known


@dataclass(frozen=True, kw_only=True)
class AttemptView:
    """One ended attempt at one of an item's tasks; a log is None where nothing was written."""

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
    out_log: str | None
    err_log: str | None


@dataclass(frozen=True)
class FailureGroup:
    """Failed items of a run that share a reason."""

    code: str
    count: int
    message: str
    example: str


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """What a request would do: the answer to a dry run."""

    spec: RunSpec
    items: int
    bytes: int
    skipped: Mapping[str, int]
    examples: Sequence[str]
    resumes: str | None = None


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A run that is on disk."""

    run: RunView
    resumed: bool = False
    driver: str | None = None  # words for the process that works on it already
    skipped: Mapping[str, int] = field(default_factory=dict)
