"""Inputs on their way here: from a mount, a bucket, or the server. Everything blocks."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from grange.client.work import Claim, Work
from grange.core.tasks import Task, TaskKind
from grange.errors import ExtraMissing, ServerUnreachable, SettingInvalid
from grange.storage import check_path, file_uri, open_store
from grange.worker import fetching
from grange.worker.fetching import Fetcher
from grange.worker.station.mounts import Mounts
from grange.worker.station.routes import Route, Way

# After this a server that was away is asked again.
_REST_SECONDS = 1.0


@dataclass(slots=True)
class Brought:
    """A task as the workers get it. `hold` keeps its input here until it is closed."""

    task: Task
    hold: ExitStack
    wanted: Callable[[], bool]
    fetched_bytes: int = 0
    from_cache: bool = False


class Bringer:
    """Brings what a task reads. Safe to use from several threads."""

    def __init__(
        self, work: Callable[[], Work], fetcher: Fetcher, mounts: Mounts, *, staged: Path
    ) -> None:
        """`work` gives the way to the server, and raises where there is none just now.

        `staged` is where buckets stage on this machine.
        """
        self._staged = staged
        self._work = work
        self._fetcher = fetcher
        self._mounts = mounts

    def at_hand(self, route: Route, task: Task) -> Task | None:
        """The task with its input where it lies, if this machine sees it. Doesn't wait."""
        if task.kind is TaskKind.MERGE and route.outputs is not Way.MOUNT:
            return None if task.payload["parts"] else self._mounted(task)
        return self._mounted(task)

    def bring(self, route: Route, task: Task, wanted: Callable[[], bool]) -> Brought:
        """Bring the input here, and what a merge takes of its parts.

        While the server is away it waits, for as long as that is `wanted`.

        Raises:
            ClaimEnded: The attempt is over.
            TaskError: The input is not there, or is another one by now.
            StoreFull: There is no room here.
            ServerError, StoreError: It can't be reached just now.
        """
        claim = Claim(route.job.run, task.id, task.epoch)
        with ExitStack() as opened:
            found = Brought(task, opened, wanted)
            found.task = self._mounted(task) or self._input(claim, task, found)
            if task.kind is TaskKind.MERGE and route.outputs is not Way.MOUNT:
                self._parts(claim, route, task, found)
            found.hold = opened.pop_all()
            return found

    def _mounted(self, task: Task) -> Task | None:
        if not task.uri:
            return task
        uri = self._mounts.uri_here(task.uri)
        return None if uri is None else task if uri == task.uri else replace(task, uri=uri)

    def _input(self, claim: Claim, task: Task, found: Brought) -> Task:
        if task.uri.lower().startswith("s3://"):
            try:
                return self._held(
                    self._fetcher.fetch(task.uri, task.size, task.mtime_ns), task, found
                )
            except (ExtraMissing, SettingInvalid):
                pass  # This machine has no way there of its own, but the server has.

        def write(target: Path) -> str:
            return self._fetch(claim, task, target, found.wanted)

        name = os.path.basename(task.path) or "input"
        return self._held(
            self._fetcher.bring(_key(task), name, task.size, task.mtime_ns, write), task, found
        )

    def _fetch(self, claim: Claim, task: Task, target: Path, wanted: Callable[[], bool]) -> str:
        """Bring the input from the server, however long that is away: what has come stays."""
        while True:
            try:
                return self._work().fetch_input(claim, target, size=task.size, sha256=task.sha256)
            except ServerUnreachable:
                time.sleep(_REST_SECONDS)
                if not wanted():
                    raise

    def _held(
        self, held: AbstractContextManager[fetching.Held], task: Task, found: Brought
    ) -> Task:
        here = found.hold.enter_context(held)
        status = os.stat(here.path)
        found.from_cache = not here.is_fresh
        if here.is_fresh:
            found.fetched_bytes += status.st_size
        return replace(
            task,
            uri=file_uri(here.path),
            size=status.st_size,
            mtime_ns=status.st_mtime_ns,
            # It was digested on its way here, and need not be read once more for that.
            sha256=here.sha256 or task.sha256,
        )

    def _parts(self, claim: Claim, route: Route, task: Task, found: Brought) -> None:
        """Put what was staged of the parts where the workers look for it."""
        if not task.payload["parts"]:
            return
        store = open_store(route.local.store)
        if route.outputs is Way.BUCKET:
            bucket = open_store(route.job.store, work=self._staged)
            for part in task.payload["parts"]:
                found.hold.callback(store.discard, part["token"])
                place = store.staging(part["token"])
                shutil.copytree(bucket.staged_here(part["token"]), place, dirs_exist_ok=True)
            return
        work = self._work()
        for part in work.list_parts(claim):
            found.hold.callback(store.discard, part.token)
            folder = store.staging(part.token)
            for file in part.files:
                target = folder / check_path(file.path)
                target.parent.mkdir(parents=True, exist_ok=True)
                work.fetch_part(claim, part.token, file.path, target, size=file.size)
                found.fetched_bytes += file.size


def _key(task: Task) -> str:
    """What the input's bytes are known by: their digest, or where and when they were found."""
    if task.sha256 is not None:
        return f"sha256:{task.sha256}"
    return f"{task.uri} {task.size} {task.mtime_ns}"
