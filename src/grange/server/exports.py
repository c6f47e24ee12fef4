"""A run's results in another format, as an archive."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from grange.client.schemas.runs import REMARKS_FILE
from grange.errors import ExportRefused, PipelineInvalid, PipelineNotFound
from grange.pipelines import catalog
from grange.pipelines.bringing import results_here
from grange.pipelines.exporting import export_run
from grange.runs.models import RunView
from grange.server import zipping
from grange.server.access import is_own_code

# What a folder's name begins with that holds an export while it is sent.
BEGINNING: Final = ".export-"
# No export is written, or read, for longer.
LONGEST_SECONDS: Final = 86_400.0
_PIECE_BYTES: Final = 1 << 16


class Export:
    """The archive of an export that is written already; its files go once it was read."""

    def __init__(
        self, run: RunView, dialect: str, options: Mapping[str, str], *, below: Path
    ) -> None:
        """Write the files to a folder below `below`.

        Raises:
            ExportRefused: The format is unknown, or demands what is not there.
        """
        self._folder: Path | None = None
        if is_own_code(run.pipeline):
            # Their code belongs into workers; the server holds the passwords.
            raise ExportRefused(
                "The server writes no other formats of commands and pipelines of one's own.",
                hint="Run it on your machine.",
            )
        below.mkdir(parents=True, exist_ok=True)
        folder = self._folder = Path(tempfile.mkdtemp(prefix=BEGINNING, dir=below))
        try:
            with results_here(run.pipeline, run.out, below) as results:
                remarks = export_run(run.pipeline, dialect, results, folder, options)
            if remarks:
                text = "\n".join(remarks) + "\n"
                (folder / REMARKS_FILE).write_text(text, encoding="utf-8")
        except BaseException:
            self.drop()
            raise

    def __iter__(self) -> Iterator[bytes]:
        try:
            if self._folder is not None:
                yield from zipping.stream(_entries(self._folder))
        finally:
            self.drop()

    def __del__(self) -> None:
        # Whoever asked may be gone before a byte was read.
        self.drop()

    def drop(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def offered(pipeline: str) -> list[str]:
    """The formats that a page offers for the runs of a pipeline."""
    if is_own_code(pipeline):
        return []
    try:
        found = catalog.find(pipeline)
    except (PipelineNotFound, PipelineInvalid):
        return []
    return [one for one in found.exports if one not in found.exports_asking]


def sweep(below: Path) -> None:
    """Remove what a server has left that was cut off; nobody reads an archive for a day."""
    for folder in below.glob(f"{BEGINNING}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LONGEST_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _entries(folder: Path) -> Iterator[zipping.Entry]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield name, os.stat(path).st_mtime_ns, _pieces(path)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
