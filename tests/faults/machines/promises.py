"""What must hold of runs whatever happened to those who worked on them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines.contract.history import FINAL, faults_in
from tests.faults.machines.recorder import Note, Recorder, events, item_faults

# What a run leaves in its folder beside its results.
OWN_FILES = {"run.json", "items.jsonl", "report.html"}


@dataclass(frozen=True)
class Ended:
    """A run that is to be judged: what should have come of it, and where that is."""

    id: str
    out: Path
    expected: Mapping[str, bytes]
    failed: int = 0  # items that can't be done


def broken(recorder: Recorder, runs: Sequence[Ended]) -> list[str]:
    """Sentences about promises that were not kept; none when all were.

    All runs that were acknowledged belong into `runs`: one that the ledger does not
    know is lost. What the ledger knows beside them must be in order too, but for submissions
    that were cut off before anybody heard of them.
    """
    begun = recorder.ask("SELECT number FROM runs WHERE state = 'submitting'")
    unheard = {row.number for row in begun}
    notes = [note for note in recorder.notes() if note.run not in unheard]
    found = [*faults_in(events(notes)), *item_faults(notes)]
    for run in runs:
        found += [f"Run {run.id}: {fault}." for fault in _of_run(recorder, run)]
    return found


def _of_run(recorder: Recorder, run: Ended) -> Iterator[str]:
    row = next(iter(recorder.ask("SELECT * FROM runs WHERE id = :id", id=run.id)), None)
    if row is None:
        yield "it is lost, for it was acknowledged and is not in the ledger"
        return
    expected = "failed" if run.failed else "done"
    if row.state != expected:
        yield f"it is {row.state}, and should be {expected}"
    yield from _counts(recorder, row, run)
    yield from _files(run)
    yield from _digests(recorder, row, run)
    if (run.out / ".grange").exists():
        yield "it has left what was staged"
    query = "SELECT count(*) FROM tasks WHERE run = :run AND state IN ('waiting', 'running')"
    if recorder.ask(query, run=row.number)[0][0]:
        yield "it has ended before its tasks have"


def _counts(recorder: Recorder, row: Any, run: Ended) -> Iterator[str]:  # any row
    query = "SELECT state, count(*) AS items FROM items WHERE run = :run GROUP BY state"
    states = {one.state: one.items for one in recorder.ask(query, run=row.number)}
    told = {"done": row.items_done, "failed": row.items_failed, "cancelled": row.items_cancelled}
    counted = {state: states.get(state, 0) for state in told}
    if told != counted:
        yield f"it says {told}, and its items are {states}"
    if set(states) - FINAL or sum(states.values()) != row.items_total:
        yield f"of its {row.items_total} items there are {states}"
    if row.items_failed != run.failed:
        yield f"{row.items_failed} items have failed, and {run.failed} should have"


def _files(run: Ended) -> Iterator[str]:
    """The same bytes as when nothing happens, whole and once."""
    present = outputs(run.out)
    for name in sorted(run.expected.keys() - present.keys()):
        yield f"{name} is missing"
    for name in sorted(present.keys() - run.expected.keys()):
        yield f"{name} should not be there"
    for name in sorted(run.expected.keys() & present.keys()):
        if present[name] != run.expected[name]:
            yield f"{name} has other bytes than it should"


def _digests(recorder: Recorder, row: Any, run: Ended) -> Iterator[str]:  # any row
    """What the ledger says of files is true."""
    query = (
        "SELECT items.path AS item, outputs.path, outputs.sha256 FROM outputs"
        " JOIN items ON items.id = outputs.item WHERE items.run = :run"
    )
    told = [(f"{one.item}/{one.path}", one.sha256) for one in recorder.ask(query, run=row.number)]
    if len(told) != len(run.expected):
        yield f"the ledger knows {len(told)} files, and there should be {len(run.expected)}"
    for name, digest in told:
        file = run.out / name
        if file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            yield f"{name} is not what the ledger says"


def outputs(out: Path) -> dict[str, bytes]:
    """All results in an output folder."""
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in sorted(out.rglob("*"))
        if file.is_file() and str(file.relative_to(out)) not in OWN_FILES
    }


def recovery_seconds(notes: Sequence[Note], since: float) -> float:
    """How long after `since` the last of those attempts was settled that were under way then.

    Settled is what has an outcome or was given to somebody else. What is not yet counts
    for ever.
    """
    held: dict[int, int] = {}
    for note in notes:
        if note.at >= since:
            break
        if note.kind == "task" and note.after == "running":
            held[note.id] = note.epoch or 0
        elif note.kind == "task":
            held.pop(note.id, None)
    settled = {task: float("inf") for task in held}
    for note in notes:
        if note.at >= since and note.kind == "task" and settled.get(note.id) == float("inf"):
            settled[note.id] = note.at
    return max((at - since for at in settled.values()), default=0.0)
