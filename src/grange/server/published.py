"""What a run has published: listed, found, zipped, removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from grange.client.schemas.basis import Page
from grange.client.schemas.runs import OutputFile
from grange.errors import StoreMissing
from grange.runs.manifest import published_path
from grange.runs.models import ITEMS_FILE, REPORT_FILE, REPORT_FOLDER, RUN_FILE, RunView
from grange.runs.service import Runs
from grange.server import zipping
from grange.server.downloads import Download
from grange.storage import Stored, file_uri, open_store
from grange.storage.s3urls import is_s3

OWN_FILES = (REPORT_FILE, RUN_FILE, ITEMS_FILE)
# What a folder's name ends with while it is being removed.
DELETED = ".deleted"
# Of the pipeline's own report, so many files are listed.
MOST_REPORT_FILES = 1000


def listed(runs: Runs, run: RunView, *, after: str | None, limit: int) -> Page[OutputFile]:
    """The run's own files first, then those of its items in their order."""
    part = runs.page_of_outputs(run, after=after, limit=limit)
    files = [] if after else list(_own(run))
    files += [
        OutputFile(
            path=f"{published_path(row.item_path)}/{row.path}",
            size=row.size,
            sha256=row.sha256,
            item=row.item,
        )
        for row in part.rows
    ]
    return Page(items=files, next=part.next)


def find(runs: Runs, run: RunView, path: str) -> Download:
    """The published file of this path.

    Raises:
        StoreMissing: There is none.
        StorePathRefused: The path leads elsewhere.
    """
    store = open_store(run.out)
    stored = store.stat(path)
    if stored is None:
        raise StoreMissing(f"The run has published nothing as {path[:200]!r}.")
    digest = runs.digest_of(run, path)
    return Download(
        name=path.rpartition("/")[2],
        size=stored.size,
        etag=f'"{digest or _since(stored)}"',
        read=lambda start, length: store.read(path, start=start, length=length),
    )


def log_of(path: str | None, *, name: str) -> Download:
    """What an attempt has written; nothing where there is no such file any more."""
    found = Path(path) if path else None
    if found is None or not found.is_file():
        return Download(name=name, size=0, etag='"empty"', read=lambda _start, _length: iter(()))
    store, inside = open_store(file_uri(found.parent)), found.name
    stored = store.stat(inside)
    return Download(
        name=name,
        size=stored.size if stored else 0,
        etag=f'"{_since(stored) if stored else "empty"}"',
        read=lambda start, length: store.read(inside, start=start, length=length),
    )


def zipped(run: RunView) -> Iterator[bytes]:
    """All that the run has published as one .zip, made while it is read."""
    store = open_store(run.out)
    return zipping.stream(
        (one.path, one.mtime_ns or 0, store.read(one.path)) for one in store.list()
    )


def remove(run: RunView, below: Path) -> None:
    """Remove the run's whole folder, if it is one that the server has made."""
    if is_s3(run.out):
        if run.owner is not None and run.out.endswith(f"/{run.id}"):
            open_store(run.out.removesuffix(f"/{run.id}")).delete_tree(run.id)
        return
    folder = below / run.id
    if run.owner is not None and open_store(run.out).url == open_store(folder.as_uri()).url:
        aside = folder.with_name(f".{run.id}{DELETED}")
        if folder.exists() and not aside.exists():
            os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)


def sweep(below: Path) -> None:
    """Remove what is left of folders whose removal was cut off."""
    for aside in below.glob(f".*{DELETED}"):
        shutil.rmtree(aside, ignore_errors=True)


def _since(stored: Stored) -> str:
    """What tells a file from what it was, where its digest is not known."""
    return f"{stored.size:x}-{stored.mtime_ns or 0:x}"


def _own(run: RunView) -> Iterator[OutputFile]:
    store = open_store(run.out)
    for name in OWN_FILES:
        if (stored := store.stat(name)) is not None:
            yield OutputFile(path=name, size=stored.size)
    for number, stored in enumerate(store.list(REPORT_FOLDER)):
        if number == MOST_REPORT_FILES:
            return
        yield OutputFile(path=stored.path, size=stored.size)
