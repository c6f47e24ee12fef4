"""The site in numbers for scrapers: gathered when one asks, and no more than once a second.

The ledger says what waits, the process that drives runs has counted what was done,
and this one counts the requests that it answers.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from grange.core.ids import new_id
from grange.errors import GrangeError
from grange.pool.models import Presence, WorkerState
from grange.server.scraping import expected
from grange.telemetry import drive, metrics
from grange.telemetry.attempts import pipeline_label
from grange.telemetry.exposition import expose
from grange.telemetry.metrics import Metric
from grange.telemetry.tally import Sample

if TYPE_CHECKING:
    from grange.runs.standing import Standing
    from grange.server.parts import Parts
    from grange.telemetry.tally import Tally

# Whoever asks more often is told the same again.
KEPT_SECONDS = 1.0
PROBE_SECONDS = 5
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Meter:
    """Tells the numbers of one server."""

    def __init__(self, parts: Parts) -> None:
        """Nothing is gathered yet."""
        self._parts = parts
        self._lock = threading.Lock()
        self._told = b""
        self._until = 0.0

    def text(self) -> bytes:
        """All numbers in the text that Prometheus reads."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._told = expose(samples(self._parts))
                # From its end on: a slow database is not asked without a pause.
                self._until = time.monotonic() + KEPT_SECONDS
            return self._told


_METERS: WeakKeyDictionary[Tally, Meter] = WeakKeyDictionary()


def meter_of(parts: Parts) -> Meter:
    """The one meter of a server."""
    return _METERS.setdefault(parts.tally, Meter(parts))


def samples(parts: Parts) -> Iterator[Sample]:
    """All numbers of the site now; what can't be asked is left out, and a gauge says so."""
    now = time.time()
    yield from parts.tally.samples()
    yield from drive.told(parts.settings.home, now=now)
    yield from _of_ledger(parts, now)
    yield from _of_pool(parts)
    yield from _of_server(parts)


def count_request(tally: Tally, method: str, route: str, status: int, seconds: float) -> None:
    """Count an answered request; `route` is a pattern of the server's own, never a path."""
    told = method if method in _METHODS else "other"
    tally.add(metrics.REQUESTS, told, route, str(status))
    tally.observe(metrics.REQUEST_SECONDS, route, value=seconds)


def _of_ledger(parts: Parts, now: float) -> Iterator[Sample]:
    began = time.perf_counter()
    try:
        found = parts.runs.standing(now=now)
    except GrangeError:
        yield _one(metrics.DATABASE_UP, 0)
        return
    yield _one(metrics.DATABASE_UP, 1)
    yield _one(metrics.DATABASE_SECONDS, time.perf_counter() - began)
    for pipeline, standing in _by_label(found).items():
        yield from _of_pipeline(pipeline, standing)
    with suppress(GrangeError):
        yield _one(metrics.UPLOAD_BYTES, parts.uploads.total_bytes())


def _of_pipeline(pipeline: str, standing: Standing) -> Iterator[Sample]:
    counted: tuple[tuple[Metric, Counter[str]], ...] = (
        (metrics.RUNS, standing.runs),
        (metrics.ITEMS, standing.items),
        (metrics.TASKS, standing.tasks),
    )
    for metric, counts in counted:
        for state, count in counts.items():
            yield _one(metric, count, pipeline, state)
    yield _one(metrics.QUEUE_ITEMS, standing.queued, pipeline)
    yield _one(metrics.QUEUE_AGE, standing.age_seconds, pipeline)
    yield _one(metrics.QUEUE_QUIET, standing.quiet_seconds, pipeline)


def _by_label(found: Mapping[str, Standing]) -> dict[str, Standing]:
    """Pipelines by what they are called in labels: those of people's own are one."""
    told: dict[str, Standing] = {}
    for pipeline, one in found.items():
        label = pipeline_label(pipeline)
        known = told.setdefault(label, one)
        if known is not one:
            known.runs.update(one.runs)
            known.items.update(one.items)
            known.tasks.update(one.tasks)
            known.queued += one.queued
            known.age_seconds = max(known.age_seconds, one.age_seconds)
            known.quiet_seconds = max(known.quiet_seconds, one.quiet_seconds)
    return told


def _of_pool(parts: Parts) -> Iterator[Sample]:
    try:
        found = expected(parts)
    except GrangeError:
        return
    states = Counter({"up": 0, "draining": 0, "silent": 0, "gone": 0})
    for one in found:
        presence = parts.workers.presence(one)
        draining = one.state is WorkerState.DRAINING and presence is Presence.UP
        states["draining" if draining else str(presence)] += 1
        yield _one(metrics.POOL_SILENT, max(0.0, parts.workers.now() - one.seen_at), one.name)
        yield _one(metrics.POOL_SLOTS, one.capacity.get("slots") or 0, one.name)
        yield _one(metrics.POOL_BUSY, one.beat.get("busy") or 0, one.name)
    for state, count in states.items():
        yield _one(metrics.POOL_WORKERS, count, state)


def _of_server(parts: Parts) -> Iterator[Sample]:
    yield _one(metrics.BUILD, 1, version("grange"))
    yield _one(metrics.STARTED, parts.started_at)
    yield _one(metrics.DRIVER_UP, parts.is_driven())
    yield _one(metrics.STREAMS, parts.hub.streams)
    yield _one(metrics.SESSIONS_UP, _sessions_answer(parts))
    with suppress(OSError):
        disk = shutil.disk_usage(parts.settings.home)
        yield _one(metrics.DISK_FREE, disk.free)
        yield _one(metrics.DISK_TOTAL, disk.total)


def _sessions_answer(parts: Parts) -> bool:
    key = f"probe-{new_id()}"
    parts.cache.put(key, "here", seconds=PROBE_SECONDS)
    return parts.cache.get(key) == "here"


def _one(metric: Metric, value: float, *labels: str) -> Sample:
    return Sample(metric, labels, float(value))
