"""The run that this process drives: what must be at hand in each turn of the loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grange.core.states import RunState
from grange.core.tasks import Job, Task
from grange.runs.machine import Policy
from grange.runs.models import Counts

if TYPE_CHECKING:
    from grange.storage import Store


@dataclass(slots=True)
class Cursor:
    """How far the planner has come through the items, heaviest first. None before the first."""

    weight: int | None = None
    item: int = 0
    at_end: bool = False


@dataclass(slots=True)
class Claimed:
    """A task that this driver has claimed, with what its item had cost before."""

    task: Task
    item: int  # 0 for a task of the whole run
    tries: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Driven:
    """A run in its driver's hands.

    `kin` says that other runs may have done equal work. What its output folder held
    before `own_before_ns` no run has made: it is somebody's own. With a `lasting`
    engine, work that an earlier driver has given out is in `flying` from the start.
    """

    number: int
    id: str
    job: Job
    policy: Policy
    function_key: str
    store: Store
    splits: bool
    reports: bool
    reads_name: bool
    kin: bool
    state: RunState
    counts: Counts
    bytes_total: int
    cursor: Cursor = field(default_factory=Cursor)
    flying: dict[int, Claimed] = field(default_factory=dict)  # by the task's id
    own_before_ns: int = 0
    priority: int = 0
    lasting: bool = False
    places: tuple[str, ...] = ()  # where inputs and outputs are, as URLs or paths
    begun: set[int] = field(default_factory=set)  # tasks that some worker was seen at

    def name_of(self, path: str) -> str | None:
        """What of the item's path decides its result."""
        return path.rsplit("/", 1)[-1] if self.reads_name else None
