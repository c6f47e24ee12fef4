"""The folder of a station: one station for each, and what an earlier one has left there."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from grange.core.ids import new_id
from grange.engines.strays import STATION_MARKER, kill_strays
from grange.errors import Conflict, SettingInvalid

_MARK_NAME = "mark"
_LOCK_NAME = "lock"
PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of a station. `mark` is what its processes are known by."""

    folder: Path
    mark: str

    @property
    def inputs(self) -> Path:
        """What was brought here, until the room is needed."""
        return self.folder / "inputs"

    @property
    def work(self) -> Path:
        """What stores elsewhere stage here."""
        return self.folder / "work"

    @property
    def kept(self) -> Path:
        """What stages of pipelines keep for later runs."""
        return self.folder / "kept"

    @property
    def journal(self) -> Path:
        """What was taken and not yet settled."""
        return self.folder / "journal"

    def store(self, run: str) -> Path:
        """Where outputs of this run are built, if they can't be where they belong."""
        return self.folder / "runs" / run / "store"

    def logs(self, run: str) -> Path:
        """Where its logs are written, if they can't be where they belong."""
        return self.folder / "runs" / run / "logs"

    def runs(self) -> list[str]:
        """The runs that have something here."""
        with suppress(OSError):
            return os.listdir(self.folder / "runs")
        return []

    def clear(self, run: str) -> None:
        """Remove all that is here of a run."""
        shutil.rmtree(self.folder / "runs" / run, ignore_errors=True)

    def free_bytes(self) -> int:
        """The room on its disk that this user has."""
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize


@contextmanager
def open_home(folder: Path) -> Iterator[Home]:
    """Make the folder, keep other stations out, and end what an earlier one has left running.

    Raises:
        Conflict: Another station has it.
        SettingInvalid: It can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        folder.chmod(PRIVATE)
        lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"The folder {folder} for this worker's own files can't be used: {error.strerror}"
        raise SettingInvalid(f"{message}.", hint="Choose another home: GRANGE_HOME") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"Another worker on this machine uses the folder {folder}."
            hint = "For a second one on one machine give it a home of its own: GRANGE_HOME"
            raise Conflict(message, hint=hint) from error
        home = Home(folder, _mark(folder))
        kill_strays(home.mark, variable=STATION_MARKER)
        yield home
    finally:
        os.close(lock)


def _mark(folder: Path) -> str:
    path = folder / _MARK_NAME
    with suppress(OSError):
        mark = path.read_text(encoding="ascii", errors="replace").strip()
        if mark.isalnum():
            return mark
    mark = new_id()
    try:
        path.write_text(f"{mark}\n", encoding="ascii")
    except OSError as error:
        message = f"The folder {folder} can't be written: {error.strerror}."
        raise SettingInvalid(message, hint="Choose another home: GRANGE_HOME") from error
    return mark
