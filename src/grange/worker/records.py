"""What the report of a run is given: the items that have ended, and the files that it reads."""

from __future__ import annotations

import json
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from grange.core.tasks import JSON
from grange.pipelines.base import ItemFailure, ItemRecord
from grange.storage import Store, check_path
from grange.storage.oserrors import told

# Of items in a store that lies elsewhere, so many are fetched ahead of the one that is read.
_AHEAD = 8


def local_records(lines: Path, out: Path) -> Iterator[ItemRecord]:
    """The records of items whose outputs lie in this folder."""
    for one in _read(lines):
        yield _record(one, out / one["folder"])


def fetched_records(
    lines: Path, store: Store, reads: Sequence[str] | None, scratch: Path
) -> Iterator[ItemRecord]:
    """The records of items whose outputs lie elsewhere, with those files that the report reads.

    Each item's files are there until the next item is asked for.
    """

    def fetch(number: int, one: JSON) -> ItemRecord:
        folder = scratch / str(number) / check_path(one["folder"])
        for name in one["outputs"]:
            if reads is None or name in reads:
                _bring(store, f"{one['folder']}/{name}", folder / check_path(name))
        return _record(one, folder)

    numbered = enumerate(_read(lines))
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="records") as pool:
        under_way: deque[tuple[int, Future[ItemRecord]]] = deque()
        while True:
            for number, one in islice(numbered, _AHEAD - len(under_way)):
                under_way.append((number, pool.submit(fetch, number, one)))
            if not under_way:
                return
            number, future = under_way.popleft()
            yield future.result()
            shutil.rmtree(scratch / str(number), ignore_errors=True)


def _bring(store: Store, path: str, target: Path) -> None:
    with told("fetch", path, root=target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in store.read(path):
                file.write(chunk)


def _read(lines: Path) -> Iterator[JSON]:
    with lines.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _record(one: JSON, folder: Path) -> ItemRecord:
    failure = ItemFailure(**one["failure"]) if one.get("failure") else None
    return ItemRecord(one["path"], one["state"], one["result"], folder, one["outputs"], failure)
