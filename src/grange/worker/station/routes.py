"""How the bytes of a run travel: what its job is for the workers of this machine."""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from grange.core.tasks import Job, job_from_json, job_to_json
from grange.errors import GrangeError, StoreUnreachable
from grange.storage import file_uri
from grange.storage.s3client import S3Client, is_s3, parse_s3
from grange.worker.station.home import PRIVATE, Home
from grange.worker.station.mounts import Mounts

_KNOWN_JOBS = 64
# A bucket that could not be reached is tried again after this: until then the server takes all.
_DOUBT_SECONDS = 60.0


class Way(StrEnum):
    """How outputs get to where they belong."""

    MOUNT = "mount"  # they are built there
    BUCKET = "bucket"  # this machine brings them to the bucket itself
    SERVER = "server"  # the server takes them


@dataclass(frozen=True, slots=True)
class Route:
    """A run's job as it came, and as the workers get it; how outputs and logs leave."""

    job: Job
    local: Job
    outputs: Way
    carries_logs: bool

    @property
    def is_mounted(self) -> bool:
        """Whether all that an attempt leaves is where it belongs at once."""
        return self.outputs is Way.MOUNT and not self.carries_logs


class Routes:
    """Finds the way for each run, and remembers it."""

    def __init__(self, home: Home, mounts: Mounts) -> None:
        """Nothing is looked at yet."""
        self._home = home
        self._mounts = mounts
        self._known: OrderedDict[str, Route] = OrderedDict()
        self._doubted: dict[str, float] = {}

    def of(self, job: Job) -> Route:
        """The way for this job; the same object as long as the job says the same.

        It may look at the disk.
        """
        known = self.found(job)
        if known is not None:
            return known
        route = self._known[job.run] = self._find(job)
        self._keep(route)
        while len(self._known) > _KNOWN_JOBS:
            run, _ = self._known.popitem(last=False)
            self._doubted.pop(run, None)
        return route

    def known(self, run: str) -> Route | None:
        """The way that was found for this run, while it is remembered."""
        return self._known.get(run)

    def found(self, job: Job) -> Route | None:
        """The way for this job, if it was found before. Looks at no disk."""
        known = self._known.get(job.run)
        is_sure = time.monotonic() < self._doubted.get(job.run, math.inf)
        return known if known is not None and known.job == job and is_sure else None

    def forget(self) -> None:
        """Find all ways anew: what is mounted has changed."""
        self._known.clear()

    def kept(self, run: str) -> Route | None:
        """The way that outputs of this run were to take when an earlier station ended."""
        try:
            said = json.loads(self._file(run).read_bytes())
            return Route(
                job_from_json(said["job"]),
                job_from_json(said["local"]),
                Way(said["outputs"]),
                carries_logs=bool(said["carries_logs"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, route: Route) -> None:
        said = {
            "job": job_to_json(route.job),
            "local": job_to_json(route.local),
            "outputs": route.outputs,
            "carries_logs": route.carries_logs,
        }
        path = self._file(route.job.run)
        # On a full disk the way can't be gone after this station's end; that is all.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
            path.write_text(json.dumps(said))

    def _file(self, run: str) -> Path:
        return self._home.logs(run).with_name("route.json")

    def _find(self, job: Job) -> Route:
        home, mounts = self._home, self._mounts
        store = mounts.uri_here(job.store, write=True)
        outputs = Way.MOUNT
        if store is None:
            outputs = Way.BUCKET if self._reaches(job) else Way.SERVER
            store = file_uri(home.store(job.run))
        logs = mounts.writable_path(job.logs)
        pipeline = mounts.here_path(job.pipeline) if job.pipeline.startswith("/") else None
        local = replace(
            job,
            pipeline=str(pipeline or job.pipeline),
            store=store,
            logs=str(logs or home.logs(job.run)),
            kept=str(home.kept) if job.kept else "",
        )
        return Route(job, local, outputs, carries_logs=logs is None)

    def _reaches(self, job: Job) -> bool:
        """Whether this machine has what it takes to speak to the bucket itself, just now."""
        self._doubted.pop(job.run, None)
        if not is_s3(job.store):
            return False
        try:
            S3Client(parse_s3(job.store).bucket, is_short=True).check()
        except StoreUnreachable:
            self._doubted[job.run] = time.monotonic() + _DOUBT_SECONDS
            return False
        except GrangeError:
            return False
        return True
