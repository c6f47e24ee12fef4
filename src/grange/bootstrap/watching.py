"""Watching an inbox on this machine: what arrives is worked on, as one run that grows."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grange.bootstrap.embedded import Site, open_runs
from grange.errors import DatabaseBusy, DatabaseFull, DatabaseUnreachable, InputsInvalid, StoreFull

if TYPE_CHECKING:
    from grange.core.events import Observer
    from grange.runs.arriving import Scout
    from grange.runs.inbox import Inbox
    from grange.runs.models import FailureGroup, RunRequest, RunSpec, RunView
    from grange.runs.watching import Watcher
    from grange.settings import Settings

FOLDER_EVERY_SECONDS = 1.0
# Each look at a bucket is a request that somebody may have to pay for.
BUCKET_EVERY_SECONDS = 2.0
SETTLE_SECONDS = 2.0

# What passes by itself, or when somebody makes room.
_PASSING = (StoreFull, DatabaseFull, DatabaseUnreachable, DatabaseBusy)
_FIRST_REST_SECONDS = 2.0
_LONGEST_REST_SECONDS = 60.0

Told = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class WatchRequest:
    """What a person asks for: a run whose one input is an inbox, and how that is looked at."""

    run: RunRequest
    every_seconds: float | None = None
    settle_seconds: float = SETTLE_SECONDS
    once: bool = False


@contextmanager
def open_watch(settings: Settings, request: WatchRequest, told: Told) -> Iterator[Watch]:
    """Open the run of this inbox; `told` hears, from any thread, what a person should know.

    Raises:
        InputsInvalid: There is no such inbox.
        RunBusy: Another process watches it already.
        OutputInUse: An unfinished run of another request writes to the same place.
        ExtraMissing, StoreDenied, StoreMissing: The bucket can't be read.
    """
    with open_runs(settings) as runs:
        site = _Watching(settings, runs)
        yield site.open(request, runs.watcher(), told)


class _Watching(Site):
    """The embedded site, as it works on what arrives."""

    def open(self, request: WatchRequest, watcher: Watcher, told: Told) -> Watch:
        from grange.runs.arriving import Scout
        from grange.storage.s3client import is_s3

        (text,) = request.run.inputs
        make = self._bucket if is_s3(text) else self._folder
        spec, finish = make(text, request)
        run = watcher.open(spec)
        known = list(watcher.known(run))
        default = BUCKET_EVERY_SECONDS if is_s3(text) else FOLDER_EVERY_SECONDS
        scout = Scout(
            finish(run, [one.path for one in known if not one.ended]),
            known,
            every_seconds=request.every_seconds or default,
            once=request.once,
            told=told,
        )
        return Watch(self, watcher, scout, run, request)

    def drive_watch(
        self, watch: Watch, workers: int | None, observer: Observer, stop: threading.Event
    ) -> RunView:
        """Work on the watch's run until it ends, or has to stop."""
        return watch.watcher.drive(
            watch.run,
            lambda: self._engine(watch.run, workers),
            watch.scout,
            observer=observer,
            stop=stop,
        )

    def failures_of(self, run: RunView) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return self._runs.failures(run)

    def _folder(self, text: str, request: WatchRequest) -> tuple[RunSpec, _Finish]:
        from grange.runs.inbox import FolderInbox

        spec, scan = self._prepare(request.run)
        if len(scan.roots) != 1 or not os.path.isdir(scan.roots[0].path):
            message = f"The inbox {text} is no folder."
            raise InputsInvalid(message, hint="Name one folder, or s3://bucket/folder.")
        inbox = FolderInbox(scan, settle_seconds=request.settle_seconds)
        return _watched(spec, scan.roots[0].shown), lambda *_: inbox

    def _bucket(self, text: str, request: WatchRequest) -> tuple[RunSpec, _Finish]:
        from grange.bootstrap.results import check_out
        from grange.runs import globs
        from grange.runs.bucketinbox import BucketInbox
        from grange.storage.s3client import S3Client, parse_s3

        spec, accepts, out = self._spec(request.run)
        check_out(out, [])
        place = parse_s3(text)
        client = S3Client(place.bucket)
        client.check(place.prefix)
        wanted = globs.matcher(request.run.include or accepts)
        unwanted = globs.matcher(request.run.exclude) if request.run.exclude else None

        def finish(run: RunView, unfinished: list[str]) -> Inbox:
            inbox = BucketInbox(
                client,
                place,
                self._runs.logs_of(run) / "inbox",
                lambda path: wanted(path) and not (unwanted and unwanted(path)),
            )
            inbox.tidy(unfinished)
            return inbox

        return _watched(spec, place.url), finish


# Makes the inbox, once its run and the run's unfinished items are known.
_Finish = Callable[["RunView", list[str]], "Inbox"]


def _watched(spec: RunSpec, shown: str) -> RunSpec:
    """A request of its own: no `grange run` over the same folder is meant by it."""
    given = {name: spec.inputs[name] for name in ("include", "exclude")}
    return replace(spec, inputs={"inbox": [shown], **given})


class Watch:
    """An inbox that is being watched, and its run."""

    def __init__(
        self, site: _Watching, watcher: Watcher, scout: Scout, run: RunView, request: WatchRequest
    ) -> None:
        """Use `open_watch`."""
        self.run = run
        self.watcher = watcher
        self.scout = scout
        self._site = site
        self._request = request

    def work(self, *, observer: Observer, told: Told, stop: threading.Event) -> RunView:
        """Work on what arrives until `stop` is set, or all is done that was to be taken once.

        Where there is no room, or the database is away, it is said once and waited for.
        Returns the run as it is then: ended, when nothing is left to do.
        """
        workers = self._request.run.workers
        rest, said = _FIRST_REST_SECONDS, False
        ended = self.run.counts.ended
        with self.scout:
            while True:
                try:
                    self.run = self._site.drive_watch(self, workers, observer, stop)
                except _PASSING as error:
                    if not said:
                        told(f"{error.message} It is waited for.")
                    said = True
                else:
                    return self.run
                if stop.wait(rest):
                    return self._site.find_run(self.run.id)
                now = self._site.find_run(self.run.id).counts.ended
                # What goes on in between is another trouble the next time.
                said = said and now == ended
                rest = _FIRST_REST_SECONDS if now > ended else min(2 * rest, _LONGEST_REST_SECONDS)
                ended = now

    @property
    def left_out(self) -> int:
        """How many files were still being written when all else was taken once."""
        return self.scout.left_out

    def failures(self) -> list[FailureGroup]:
        """Why items failed, the most frequent reason first."""
        return self._site.failures_of(self.run)
