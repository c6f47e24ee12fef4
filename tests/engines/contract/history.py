"""What happened to tasks, in the order in which it was recorded, and what of it must not happen.

Who drives work records what was acknowledged to it: submissions, claims,
outcomes that were taken or refused, results that were published. The checker
knows no database and no engine, so that any test of faults can use it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path


class Deed(StrEnum):
    """What can happen to a task."""

    SUBMITTED = "submitted"  # and acknowledged: from now on it must not be lost
    CLAIMED = "claimed"  # an attempt, known by its epoch, goes to a worker
    TAKEN = "taken"  # the outcome of an attempt was written down
    REFUSED = "refused"  # an outcome came, and changed nothing
    PUBLISHED = "published"  # the outputs of an attempt were put under their names
    ENDED = "ended"  # the task has its end


# What an attempt can come to that is its task's last one.
FINAL = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Event:
    """One deed. `state` says of an outcome, and of an end, which."""

    deed: Deed
    task: int
    epoch: int = 0
    state: str = ""


@dataclass(slots=True)
class _Life:
    """What is known of one task so far."""

    submitted: bool = False
    claims: list[int] = field(default_factory=list)
    taken: dict[int, str] = field(default_factory=dict)
    published: list[int] = field(default_factory=list)
    end: str = ""


def faults_in(events: Iterable[Event], *, whole: bool = True) -> list[str]:
    """Sentences about tasks that were lost, doubled or resurrected; none when all went well.

    A history that is not `whole` may stop anywhere: then no task counts as lost.
    """
    lives: dict[int, _Life] = {}
    found = [
        f"Task {event.task}: {fault}."
        for event in events
        for fault in _judge(lives.setdefault(event.task, _Life()), event)
    ]
    if whole:
        found += [
            f"Task {number}: it is lost, for it was acknowledged and has no end."
            for number, life in lives.items()
            if life.submitted and not life.end
        ]
    return found


def _judge(life: _Life, event: Event) -> Iterator[str]:
    """What is wrong with this event after all that went before; then it is part of that."""
    judge = _JUDGES.get(event.deed)
    if judge is not None:
        yield from judge(life, event)


def _submitted(life: _Life, _: Event) -> Iterator[str]:
    if life.submitted:
        yield "it is doubled, for it was submitted twice"
    life.submitted = True


def _claimed(life: _Life, event: Event) -> Iterator[str]:
    if not life.submitted:
        yield "it was claimed and never submitted"
    if life.end:
        yield f"it is resurrected, for it was claimed after it was {life.end}"
    if life.claims and event.epoch <= life.claims[-1]:
        yield f"it is doubled, for epoch {event.epoch} was claimed after epoch {life.claims[-1]}"
    life.claims.append(event.epoch)


def _taken(life: _Life, event: Event) -> Iterator[str]:
    if event.epoch not in life.claims:
        yield f"an outcome of epoch {event.epoch} was taken, which nobody has claimed"
    elif event.epoch != life.claims[-1]:
        yield f"it is resurrected, for an outcome of the old epoch {event.epoch} was taken"
    if life.end:
        yield f"it is resurrected, for an outcome was taken after it was {life.end}"
    if event.epoch in life.taken:
        yield f"it is doubled, for two outcomes of epoch {event.epoch} were taken"
    life.taken[event.epoch] = event.state


def _published(life: _Life, event: Event) -> Iterator[str]:
    if life.taken.get(event.epoch) != "done":
        yield f"outputs of epoch {event.epoch} were published, which was never done"
    if life.published:
        yield "it is doubled, for its outputs were published twice"
    life.published.append(event.epoch)


def _ended(life: _Life, event: Event) -> Iterator[str]:
    if event.state not in FINAL:
        yield f"{event.state!r} is no end"
    if life.end:
        yield f"it is doubled, for it ended as {event.state} after it was {life.end}"
    if event.state == "done" and "done" not in life.taken.values():
        yield "it is said to be done, and no outcome says so"
    life.end = event.state


_JUDGES = {
    Deed.SUBMITTED: _submitted,
    Deed.CLAIMED: _claimed,
    Deed.TAKEN: _taken,
    Deed.PUBLISHED: _published,
    Deed.ENDED: _ended,
}


class HistoryFile:
    """A history that several processes write to, one whole line at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, *events: Event) -> None:
        """Record what has happened; it is in the file when this returns, also if we are killed."""
        lines = "".join(json.dumps(asdict(event)) + "\n" for event in events).encode()
        number = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(number, lines)
        finally:
            os.close(number)

    def read(self) -> list[Event]:
        """All that was recorded so far."""
        if not self._path.exists():
            return []
        found = []
        for line in self._path.read_text().splitlines():
            data = json.loads(line)
            data["deed"] = Deed(data["deed"])
            found.append(Event(**data))
        return found
