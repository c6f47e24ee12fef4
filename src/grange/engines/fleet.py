"""The workers of an engine: as many as wanted, each replaced when it is gone."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from grange.engines.endings import end_words
from grange.engines.process import Start, WorkerProcess
from grange.engines.register import Reading
from grange.errors import WorkerStartFailed

# Workers that die so often in a row without having been of use will not do better the next time.
START_TRIES = 3
# The first of these deaths is followed by such a pause, each more by twice as long a one.
FIRST_PAUSE_SECONDS = 0.2
# What can't be started for want of memory or processes is tried again after this.
RETRY_SECONDS = 1.0


class Fleet:
    """Starts workers and ends them."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        number: int,
        recycle_bytes: int,
        withheld: Collection[str] = (),
        places: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Say how workers are started. Nothing is made yet.

        With `places` each worker has one of them, and no other one has it before that
        has ended: they say what its environment has of its own. `number` is not used then.
        """
        self.number = len(places) or number
        self._places = places
        self._owner = os.getpid()
        self._command = command
        self._recycle_bytes = recycle_bytes
        self._withheld = frozenset(withheld)
        self._folder: Path | None = None
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self._early_deaths = 0
        self._spawn_after = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it has been opened, and not closed since."""
        return self._folder is not None

    def open(self) -> None:
        """Make a folder for the workers' files, and start them. Idempotent.

        Raises:
            WorkerStartFailed: They can't be started at all.
        """
        if self._folder is None:
            try:
                self._folder = Path(tempfile.mkdtemp(prefix="grange-"))
            except OSError as error:
                message = f"There is no place for temporary files: {error.strerror}."
                raise WorkerStartFailed(message, hint="See: grange doctor") from error
        self.fill_up()

    def __iter__(self) -> Iterator[WorkerProcess]:
        return iter(tuple(self._workers))

    def working(self) -> list[WorkerProcess]:
        """Those who give signs of life."""
        return [worker for worker in self._workers if not worker.was_silent]

    def fill_up(self) -> None:
        """Start workers until there are enough that work.

        Raises:
            WorkerStartFailed: No worker is left, and none can be started.
        """
        if self._folder is None or time.monotonic() < self._spawn_after:
            return
        start = Start(self._command, self._folder, self._recycle_bytes, self._withheld)
        for _ in range(self.number - len(self.working())):
            place = self._free_place()
            if place is None:
                return
            if self._places:
                start = replace(start, given=self._places[place])
            try:
                worker = WorkerProcess(start, self._started + 1, place)
            except WorkerStartFailed:
                if not self._workers:
                    raise
                self._spawn_after = time.monotonic() + RETRY_SECONDS
                return
            self._started += 1
            self._workers.append(worker)

    def _free_place(self) -> int | None:
        """A place that no worker has, not even one that has fallen silent; any, without places."""
        if not self._places:
            return 0
        taken = {worker.place for worker in self._workers}
        return next((one for one in range(self.number) if one not in taken), None)

    def end(self, worker: WorkerProcess) -> Reading:
        """Kill a worker with all that it started. Says what it was at."""
        self._workers.remove(worker)
        return worker.kill()

    def was_useful(self) -> None:
        """A worker has shown that starting works."""
        self._early_deaths = 0

    def died_early(self, worker: WorkerProcess) -> None:
        """A worker has ended before it was of any use: wait before the next one.

        Raises:
            WorkerStartFailed: Too many have in a row.
        """
        self._early_deaths += 1
        self._spawn_after = time.monotonic() + FIRST_PAUSE_SECONDS * 2 ** (self._early_deaths - 1)
        if self._early_deaths >= START_TRIES:
            end = end_words(worker.process.returncode)
            message = f"Workers end before they do any work: the last one {end}."
            words = worker.last_words()
            raise WorkerStartFailed(f"{message}\n{words}".strip(), hint="See: grange doctor")

    def close(self) -> None:
        """End all workers, and remove their files. Idempotent."""
        if os.getpid() != self._owner:
            return  # A fork has copied what belongs to its parent.
        for worker in self:
            self.end(worker)
            worker.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
