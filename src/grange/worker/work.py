"""What a pipeline's method is given besides its input: folders, logs, progress."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from grange.core.tasks import Job, Task, own_token, part_token, staging_token
from grange.engines.register import Register
from grange.engines.strays import MARKER, STATION_MARKER
from grange.errors import ClaimEnded, OutputRefused, PipelineFailed, StoreError
from grange.storage import Store, Stored, seal
from grange.worker.kept import Kept

# How much of an attempt's progress is that of an item's only part; the rest is its merge.
_PART_SHARE = 0.9
# Counts with so many names can be kept, and looked at.
MOST_COUNTS = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this worker is: a name for people, a mark for what it starts, a folder of its own.

    `station` is the one that has started it, if one has: so its environment says.
    """

    name: str
    marker: str
    folder: Path
    station: str = field(default_factory=lambda: os.environ.get(STATION_MARKER, ""))


class TaskWork:
    """The `Work` of one attempt. Folders are made when they are first asked for."""

    def __init__(
        self, job: Job, task: Task, store: Store, register: Register, identity: Identity
    ) -> None:
        """Nothing is made yet."""
        self._job = job
        self._task = task
        self._store = store
        self._register = register
        self._identity = identity
        self._output: Path | None = None
        self._scratch: Path | None = None
        token, station = self.token, identity.station
        # Where it is staged until it is done: other machines may have been given it, too.
        self._own = own_token(token, station) if station else token
        self._stretch = (0.0, 1.0)
        self.peak_bytes = 0
        self.counts: defaultdict[str, float] = defaultdict(float)

    @property
    def output(self) -> Path:
        """The attempt's private folder in the store."""
        if self._output is None:
            # What a worker left that died in this very attempt is not this one's.
            self._output = self._store.fresh(self._own)
        return self._output

    @property
    def staged(self) -> Path | None:
        """The folder, if anybody asked for it."""
        return self._output

    @property
    def token(self) -> str:
        """The name of the staging folder."""
        return staging_token(self._job.run, self._task.id, self._task.epoch)

    @property
    def scratch(self) -> Path:
        """A folder for what nobody needs later."""
        if self._scratch is None:
            # Below the worker's own folder, which goes with it even when it is killed.
            self._scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=self._identity.folder))
        return self._scratch

    @property
    def logs(self) -> tuple[Path, Path]:
        """Where this attempt's stdout and stderr are kept."""
        folder = Path(self._job.logs)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self._task.token}.out", folder / f"{self._task.token}.err"

    @property
    def timeout_seconds(self) -> float | None:
        """The limit of the run."""
        return self._job.timeout_seconds

    @property
    def marker(self) -> dict[str, str]:
        """What stray processes are found by."""
        marks = {MARKER: self._identity.marker}
        station = self._identity.station
        return marks | {STATION_MARKER: station} if station else marks

    def progress(self, fraction: float) -> None:
        """Write it where the engine sees it."""
        begin, end = self._stretch
        self._register.progress(begin + (end - begin) * fraction)

    def peak(self, peak_bytes: int) -> None:
        """Keep the largest."""
        self.peak_bytes = max(self.peak_bytes, peak_bytes)

    def known(self, key: str) -> bytes | None:
        """Look it up in the site's home."""
        kept = self._kept()
        return None if kept is None else kept.known(key)

    def keep(self, key: str, data: bytes) -> None:
        """Keep it in the site's home."""
        kept = self._kept()
        if kept is not None:
            kept.keep(key, data)

    def _kept(self) -> Kept | None:
        # Most tasks ask for nothing of it.
        job = self._job
        return Kept(Path(job.kept), job.kept_bytes) if job.kept else None

    def count(self, name: str, amount: float = 1.0) -> None:
        """Add it up; it goes with the outcome.

        Raises:
            PipelineFailed: It is no finite number, or the name is one too many.
        """
        if not math.isfinite(amount):
            raise PipelineFailed(f"The pipeline counts {amount} of {name!r}.")
        if name not in self.counts and len(self.counts) >= MOST_COUNTS:
            message = f"The pipeline counts more than {MOST_COUNTS} different things."
            raise PipelineFailed(message, hint="Name kinds of things, not each of them.")
        self.counts[name] += amount

    @contextmanager
    def part(self) -> Iterator[Path]:
        """Let `output` be a folder of an item's only part, which lasts until it is merged."""
        token = part_token(self._own)
        self._output = self._store.fresh(token)
        self._stretch = (0.0, _PART_SHARE)
        try:
            yield self._output
        finally:
            self._store.discard(token)

    def merge_part(self) -> None:
        """From now on `output` is the item's own again, and progress that of the merge."""
        self._output, self._stretch = None, (_PART_SHARE, 1.0)

    def settle(self, sealed: list[Stored]) -> list[Stored]:
        """Let what was staged be found by the attempt's name: it is done, and sealed.

        Returns it as it is there. That may have been made before by a worker that was
        ended before it could tell, if it is the very same.

        Raises:
            ClaimEnded: Another machine was given the attempt as well, and was faster.
        """
        if self._own != self.token:
            if not self._store.restage(self._own, self.token):
                sealed = self._found(sealed)
                self._store.discard(self._own)
            self._own = self.token
        return sealed

    def _found(self, sealed: list[Stored]) -> list[Stored]:
        """What is staged by the attempt's name already."""
        there: list[Stored] = []
        # Whoever publishes it may be quicker.
        with suppress(OSError, StoreError, OutputRefused):
            there = seal(self._store.staging(self._own).with_name(self.token))
        if [(one.path, one.sha256) for one in there] != [(one.path, one.sha256) for one in sealed]:
            message = f"Attempt {self._task.token} was done by another worker."
            raise ClaimEnded(message, hint="Nothing is lost: that one's outputs count.")
        return there

    def hand_in(self, sealed: Sequence[Stored]) -> None:
        """Bring what was staged to where it is published from."""
        self._store.hand_in(self.token, sealed)

    def discard(self) -> None:
        """Remove what was staged, by an earlier worker at this very attempt, too."""
        self._store.discard(self._own)
        self._store.discard(part_token(self._own))

    def close(self) -> None:
        """Remove what nobody needs any more."""
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
