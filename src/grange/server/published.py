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
from grange.runs.places import is_named
from grange.runs.service import Runs
from grange.server import zipping
from grange.server.downloads import Download
from grange.storage import Store, Stored, file_uri, open_store
from grange.storage.s3urls import is_s3

OWN_FILES = (REPORT_FILE, RUN_FILE, ITEMS_FILE)
# What a folder's name ends with while it is being removed.
DELETED = ".deleted"
# Of the pipeline's own report, so many files are listed.
MOST_REPORT_FILES = 1000
# So many outputs are asked of the ledger at once.
LISTED_AT_ONCE = 1000


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
    store = _store(run)
    digest = runs.digest_of(run, path)
    is_ours = digest is not None or not is_named(run.id, run.out) or _is_own(run, path)
    stored = store.stat(path) if is_ours else None
    if stored is None:
        raise StoreMissing(f"The run has published nothing as {path[:200]!r}.")
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


def zipped(runs: Runs, run: RunView) -> Iterator[bytes]:
    """All that the run has published as one .zip, made while it is read."""
    store = _store(run)
    files = _of_run(runs, run) if is_named(run.id, run.out) else store.list()
    return zipping.stream((one.path, one.mtime_ns or 0, store.read(one.path)) for one in files)


def remove(run: RunView, below: Path) -> None:
    """Remove the run's whole folder, if it is one that the server has made.

    What lies in a place that a person has named stays there.
    """
    if is_s3(run.out):
        if run.owner is not None and not is_named(run.id, run.out):
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


def _store(run: RunView) -> Store:
    """Where the results are; that it is away is said soon, for a person waits."""
    return open_store(run.out, patient=False)


def _of_run(runs: Runs, run: RunView) -> Iterator[Stored]:
    """What this run has published, where others may have put something beside it."""
    for own in _own(run):
        yield Stored(own.path, own.size, mtime_ns=_time_ns(run))
    after = None
    while True:
        part = runs.page_of_outputs(run, after=after, limit=LISTED_AT_ONCE)
        for row in part.rows:
            path = f"{published_path(row.item_path)}/{row.path}"
            yield Stored(path, row.size, mtime_ns=_time_ns(run))
        after = part.next
        if after is None:
            return


def _time_ns(run: RunView) -> int:
    return int((run.finished_at or run.created_at) * 1e9)


def _is_own(run: RunView, path: str) -> bool:
    """Whether a run that has ended has written this path itself, and no item of it."""
    return run.state.is_finished() and (path in OWN_FILES or path.startswith(f"{REPORT_FOLDER}/"))


def _own(run: RunView) -> Iterator[OutputFile]:
    if is_named(run.id, run.out) and not run.state.is_finished():
        return  # What is there tells of an earlier run.
    store = _store(run)
    for name in OWN_FILES:
        if (stored := store.stat(name)) is not None:
            yield OutputFile(path=name, size=stored.size)
    for number, stored in enumerate(store.list(REPORT_FOLDER)):
        if number == MOST_REPORT_FILES:
            return
        yield OutputFile(path=stored.path, size=stored.size)
