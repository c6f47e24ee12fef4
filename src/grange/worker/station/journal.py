"""What a station has taken and not yet settled, on its disk: so that its own end loses nothing.

A line is added for each batch that is taken, for tasks that are begun, for
outcomes, and for those that the broker has confirmed. It is written without
waiting for the disk: after a power cut the leases say the same, only later.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from grange.core.tasks import JSON, Outcome, outcome_from_json, outcome_to_json

# A journal that has grown by so much is written anew, with what is unsettled alone: so many lines
# at once.
COMPACT_BYTES = 4 << 20
LINES_AT_ONCE = 1000

_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(slots=True)
class Entry:
    """A task that was taken: whether it was begun, and what came of it.

    `carried` says that what the outcome names is where it belongs, so that the
    outcome alone is left to be told.
    """

    run: str
    task: int
    epoch: int
    begun: bool = False
    outcome: Outcome | None = None
    carried: bool = False


class Journal:
    """The entries of one station, by task and epoch."""

    def __init__(self, path: Path) -> None:
        """Read what an earlier station has left unsettled.

        A line that was cut off by its end is no loss: what it would have said
        is found out again.
        """
        self._path = path
        self._entries: dict[tuple[int, int], Entry] = {}
        self.broken = ""  # why it can't be written, for people
        self._size = self._kept = 0  # now, and when it was last written anew
        self._file: int | None = None
        self._load()
        self._rewrite()

    def __len__(self) -> int:
        return len(self._entries)

    def unsettled(self) -> list[Entry]:
        """The entries, in the order in which they were taken."""
        return list(self._entries.values())

    def take(self, run: str, tasks: Iterable[tuple[int, int]]) -> None:
        """Tasks and their epochs are here now."""
        self._say({"took": run, "tasks": list(tasks)})

    def begin(self, tasks: Iterable[tuple[int, int]]) -> None:
        """These are at a worker process, or about to be."""
        self._say({"begun": list(tasks)})

    def end(self, run: str, outcomes: Iterable[Outcome], *, carried: bool) -> None:
        """This came of tasks."""
        said = []
        for outcome in outcomes:
            key = outcome.task, outcome.epoch
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = Entry(run, *key)
            entry.outcome, entry.carried = outcome, carried
            said.append(outcome_to_json(outcome))
        self._write({"ended": run, "outcomes": said, "carried": carried})

    def settle(self, tasks: Iterable[tuple[int, int]]) -> None:
        """Nobody waits for these any more: they are confirmed, or unwanted."""
        self._say({"settled": list(tasks)})
        if self._file is not None and not self._entries:
            with suppress(OSError):
                os.ftruncate(self._file, 0)
                self._size = self._kept = 0
        elif self._size > self._kept + COMPACT_BYTES:
            self._rewrite()

    def mend(self) -> None:
        """Try again to write what could not be written."""
        if self.broken:
            self._rewrite()

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _say(self, line: dict[str, JSON]) -> None:
        self._follow(line)
        self._write(line)

    def _follow(self, line: dict[str, JSON]) -> None:
        if "took" in line:
            for task, epoch in line["tasks"]:
                self._entries[task, epoch] = Entry(line["took"], task, epoch)
        elif "begun" in line:
            for entry in self._of(line["begun"]):
                entry.begun = True
        elif "ended" in line:
            for said in line["outcomes"]:
                outcome = outcome_from_json(dict(said))
                key = outcome.task, outcome.epoch
                entry = self._entries.setdefault(key, Entry(line["ended"], *key))
                entry.outcome, entry.carried = outcome, line["carried"]
        elif "settled" in line:
            for task, epoch in line["settled"]:
                self._entries.pop((task, epoch), None)

    def _of(self, tasks: Iterable[tuple[int, int]]) -> Iterator[Entry]:
        for task, epoch in tasks:
            entry = self._entries.get((task, epoch))
            if entry is not None:
                yield entry

    def _write(self, *lines: dict[str, JSON]) -> None:
        if self._file is None:
            return
        # Each line begins a new one, in case the one before was cut off by a full disk.
        data = "".join(["\n" + _encode(line) for line in lines]).encode()
        try:
            written = os.write(self._file, data)
            self._size += written
            self.broken = "" if written == len(data) else os.strerror(errno.ENOSPC)
        except OSError as error:
            self.broken = str(error.strerror)

    def _load(self) -> None:
        try:
            with self._path.open("rb") as file:
                for line in file:
                    with suppress(ValueError, KeyError, TypeError):
                        self._follow(json.loads(line))
        except OSError:
            return  # There is none, or the disk has lost it: the leases say the same, only later.

    def _rewrite(self) -> None:
        """Write what is unsettled alone, whole or not at all."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        except OSError as error:
            self.broken = str(error.strerror)
            return
        self.close()
        self._file, self._size = descriptor, 0
        self.broken = ""
        lines = self._lines()
        while not self.broken and (some := list(islice(lines, LINES_AT_ONCE))):
            self._write(*some)
        self._kept = self._size
        if not self.broken:
            with suppress(OSError):
                fresh.replace(self._path)

    def _lines(self) -> Iterator[dict[str, JSON]]:
        for entry in self._entries.values():
            key = [entry.task, entry.epoch]
            yield {"took": entry.run, "tasks": [key]}
            if entry.begun:
                yield {"begun": [key]}
            if entry.outcome is not None:
                said = [outcome_to_json(entry.outcome)]
                yield {"ended": entry.run, "outcomes": said, "carried": entry.carried}
