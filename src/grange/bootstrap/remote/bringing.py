"""Bringing a run's results from the server to the folder where they are wanted.

Whatever the server says, nothing is written outside of that folder: every path
goes through the store of the folder, which refuses what leads out. An item's
files are gathered aside and appear together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from grange.client.downloads import fetch
from grange.errors import StoreCorrupt, StorePathRefused
from grange.runs.manifest import published_path
from grange.runs.models import ITEMS_FILE, REPORT_FILE, REPORT_FOLDER, RUN_FILE
from grange.storage import Stored, check_path, digest_file, file_uri, open_store

if TYPE_CHECKING:
    from grange.client.api import Client
    from grange.client.known import Known
    from grange.client.schemas.runs import Item, OutputFile

AT_ONCE = 4
# So many ended items are asked for one by one; more of them by a list of all.
FEW_ITEMS = 20
SWEEP_SECONDS = 10.0
# No more than this waits to be brought, so that memory stays flat.
MOST_WAITING = 64
_OWN_FILES = frozenset({RUN_FILE, ITEMS_FILE, REPORT_FILE})


class Bringer:
    """Brings the results of one run to one folder, several at once."""

    def __init__(self, client: Client, known: Known, run: str, out: Path) -> None:
        """Bring to `out`, which is made when the first result comes."""
        self._client = client
        self._known = known
        self._run = run
        self._out = out
        self._store = open_store(file_uri(out))
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="bringing")
        self._pending: set[Future[None]] = set()
        self._brought: set[int] = set()
        self._behind = False
        self._swept_at = time.monotonic()
        self._stopped = threading.Event()

    def ended(self, items: Sequence[int]) -> None:
        """These items are done, and have outputs. Returns at once unless too much is waiting.

        Raises:
            GrangeError: What went wrong with an earlier one.
        """
        if len(items) > FEW_ITEMS or len(self._pending) > MOST_WAITING:
            self._behind = True
            return
        for item in items:
            self._start(self._bring_one, item)

    def look(self) -> None:
        """Bring what was left for later, when it is time; whoever waits calls this now and then."""
        self._collect(block=False)
        if self._behind and time.monotonic() - self._swept_at > SWEEP_SECONDS:
            self._behind = False
            self._sweep()

    def finish(self) -> None:
        """Bring all that is not there yet, and wait for it; then what tells of the whole run.

        Raises:
            StorePathRefused: The server names a path that leads out of the folder.
            StoreCorrupt: What came is not what the server says it has.
        """
        self._sweep()
        self._wait()
        # A list of outputs begins with those that belong to no item.
        for file in self._client.runs.list_outputs(self._run).items:
            if file.item is None:
                self._start(self._bring_own, file)
        self._wait()
        self._store.clean()

    def close(self) -> None:
        """Let go; what is under way is left where it is, and gone on with later."""
        self._stopped.set()
        self._client.connection.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.connection.stop.clear()

    def _sweep(self) -> None:
        for item in self._client.runs.every_item(self._run, state="done"):
            if item.outputs and item.id not in self._brought:
                self._start(self._bring_item, item)
        self._swept_at = time.monotonic()

    def _start(self, function: Callable[..., None], what: object) -> None:
        while len(self._pending) > MOST_WAITING:
            self._collect(block=True)
        self._pending.add(self._pool.submit(function, what))

    def _wait(self) -> None:
        while self._pending:
            self._collect(block=True)

    def _collect(self, *, block: bool) -> None:
        if not self._pending:
            return
        timeout = None if block else 0
        done, self._pending = wait(self._pending, timeout, return_when=FIRST_COMPLETED)
        for one in done:
            one.result()

    def _bring_one(self, item: int) -> None:
        self._bring_item(self._client.runs.show_item(self._run, item))

    def _bring_item(self, item: Item) -> None:
        if item.state != "done" or item.id in self._brought or self._stopped.is_set():
            return
        folder = published_path(check_path(item.path))
        files = {_below(folder, one.path): one for one in item.outputs}
        expected = [Stored(path=path, size=one.size) for path, one in files.items()]
        if not self._is_there(folder, files, expected):
            self._refuse_a_persons(folder)
            token = f"{self._run}-{item.id}"
            staged = self._store.staging(token)
            for path, one in files.items():
                self._fetch(one, staged / path)
            self._known.keep_ours(str(self._out / folder))
            self._store.publish(token, folder, expect=expected)
        self._brought.add(item.id)

    def _is_there(
        self, folder: str, files: dict[str, OutputFile], expected: Sequence[Stored]
    ) -> bool:
        if not self._store.published(folder, expected):
            return False
        place = self._out / folder
        return all(self._digest(place / path) == one.sha256 for path, one in files.items())

    def _refuse_a_persons(self, folder: str) -> None:
        """Publishing replaces a folder: make sure that it is none that a person has filled."""
        filled = next(self._store.list(folder), None) is not None
        if filled and not self._known.is_ours(str(self._out / folder)):
            message = f"{folder!r} in {self._out} holds files that did not come from the server."
            raise StorePathRefused(message, hint="Move them away, or choose another --out.")

    def _fetch(self, file: OutputFile, target: Path) -> None:
        if self._stopped.is_set():
            raise StoreCorrupt("Bringing the results was stopped.")
        if file.sha256 is None:
            raise StoreCorrupt(f"The server does not know the digest of {file.path!r}.")
        target.parent.mkdir(parents=True, exist_ok=True)
        path = self._client.runs.output_path(self._run, file.path)
        fetch(self._client.connection, path, target, size=file.size, digest=file.sha256)

    def _bring_own(self, file: OutputFile) -> None:
        """A file that tells of the whole run; no other one may lie beside the items' folders."""
        path = check_path(file.path)
        if path not in _OWN_FILES and not path.startswith(f"{REPORT_FOLDER}/"):
            raise StorePathRefused(f"The server names a result {path!r} that belongs to no item.")
        present = self._store.stat(path)
        same = present is not None and present.size == file.size and file.sha256 is not None
        if same and self._digest(self._out / path) == file.sha256:
            return
        self._store.write(path, _verified(self._client.runs.download_output(self._run, path), file))

    def _digest(self, place: Path) -> str:
        status = place.stat()
        size, mtime_ns = status.st_size, status.st_mtime_ns
        found = self._known.digest(str(place), size=size, mtime_ns=mtime_ns)
        if found is None:
            found = digest_file(place)[0]
            self._known.keep_digest(str(place), size=size, mtime_ns=mtime_ns, sha256=found)
        return found


def _below(folder: str, path: str) -> str:
    """The path of an item's output in the item's folder."""
    if not path.startswith(f"{folder}/"):
        raise StorePathRefused(f"The server names an output {path!r} outside of {folder!r}.")
    return check_path(path[len(folder) + 1 :])


def _verified(pieces: Iterable[bytes], file: OutputFile) -> Iterator[bytes]:
    """The pieces; at their end an error, where they are not what they should be."""
    digest, size = sha256(), 0
    for piece in pieces:
        size += len(piece)
        if size > file.size:
            break
        digest.update(piece)
        yield piece
    if size != file.size or (file.sha256 is not None and digest.hexdigest() != file.sha256):
        raise StoreCorrupt(
            f"{file.path!r} came from the server with other bytes than it has there.",
            hint="Give the same command again.",
        )
