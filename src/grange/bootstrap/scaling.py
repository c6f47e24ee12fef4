"""How a run gets quicker with more workers, and where the rest of the time goes.

Each number of workers does the same run from nothing, into a folder of its own:
no result, no stage and no digest is known from before. What a worker does is
taken from the ledger, so that all of its time is accounted for.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grange.bootstrap.embedded import Site, open_runs
from grange.errors import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grange.runs.models import RunRequest
    from grange.runs.service import Runs
    from grange.runs.timeline import Span
    from grange.settings import Settings

# So many inputs are timed at the most: all that they were is held in memory.
MOST_SPANS = 1_000_000
MOST_WORKERS = 1024
MOST_REPEATS = 100
# Inputs are read once beforehand, so that no number of workers finds a colder disk than another.
MOST_WARM_BYTES = 16 << 30
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one number of workers took.

    From `starting` on they are seconds of one worker, on average, and add up to
    `seconds`: `starting` until its first task, `working` on tasks,
    `waiting` between tasks, `idle` at the end while others still work, and `closing`
    after the last task, while results are written down.
    """

    workers: int
    items: int
    failed: int
    seconds: float
    starting: float
    working: float
    waiting: float
    idle: float
    closing: float


@dataclass(frozen=True)
class Compared:
    """A measurement beside that with the fewest workers.

    `loss` says of one worker's time, in shares of all of it, where it went that was no work, or was
    work that took longer than with the fewest; together with `useful` they are 1.
    """

    measured: Measured
    speedup: float
    efficiency: float
    useful: float
    loss: dict[str, float]


LOSSES = ("slower work", "starting", "waiting", "idle at the end", "closing")


def measure(
    settings: Settings,
    request: RunRequest,
    counts: Sequence[int],
    *,
    repeats: int = 1,
    told: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> list[Measured]:
    """Do the run with each of these numbers of workers, in turn, `repeats` times each.

    Of several repetitions that with the median time counts. Ends early, with what it has,
    when `stop` is set.

    Raises:
        SettingInvalid: The numbers make no sense.
        UsageError: The run makes no sense.
    """
    _check(counts, repeats)
    stop = stop or threading.Event()
    found: dict[int, list[Measured]] = defaultdict(list)
    _warm(settings, request, told, stop)
    for turn in range(repeats):
        for count in counts:
            if stop.is_set():
                break
            one = _measure_one(settings, request, count, stop)
            if stop.is_set():
                break
            found[count].append(one)
            where = f", {turn + 1} of {repeats}" if repeats > 1 else ""
            told(f"{count} worker{'s' if count > 1 else ''}: {one.seconds:.2f} s{where}")
    return [_median(found[count]) for count in sorted(found)]


def compare(measured: Sequence[Measured]) -> list[Compared]:
    """Each measurement beside that with the fewest workers, which comes first."""
    base = min(measured, key=lambda one: one.workers)
    # What had to be done, in seconds of a worker.
    work = base.working * base.workers
    whole = base.seconds * base.workers
    return [_compared(one, base, work, whole) for one in measured]


def accounted(
    spans: Sequence[Span], *, workers: int, began_at: float, ended_at: float
) -> dict[str, float]:
    """Where the workers' time went, by the fields of `Measured`; on average of one worker."""
    seconds = ended_at - began_at
    by_worker: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        by_worker[span.worker].append(span)
    last_at = max((span.ended_at for span in spans), default=ended_at)
    closing = max(0.0, ended_at - last_at)
    total = dict.fromkeys(("starting", "working", "waiting", "idle"), 0.0)
    for mine in by_worker.values():
        working = sum(span.ended_at - span.began_at for span in mine)
        starting = max(0.0, min(span.began_at for span in mine) - began_at)
        idle = max(0.0, last_at - max(span.ended_at for span in mine))
        waiting = seconds - closing - idle - starting - working
        if waiting < 0:
            # Outcomes are written down together, a little after their ends: so is their beginning.
            starting, waiting = max(0.0, starting + waiting), 0.0
        for name, value in (
            ("starting", starting),
            ("working", working),
            ("waiting", waiting),
            ("idle", idle),
        ):
            total[name] += value
    # Whoever got no task at all has been idle for all the time that there were any.
    total["idle"] += max(0, workers - len(by_worker)) * (seconds - closing)
    share = max(workers, len(by_worker))
    return {name: value / share for name, value in total.items()} | {"closing": closing}


def _compared(one: Measured, base: Measured, work: float, whole: float) -> Compared:
    spent = one.seconds * one.workers
    useful = min(work, one.working * one.workers)
    lost = {
        "slower work": one.working * one.workers - useful,
        "starting": one.starting * one.workers,
        "waiting": one.waiting * one.workers,
        "idle at the end": one.idle * one.workers,
        "closing": one.closing * one.workers,
    }
    accounted_for = useful + sum(lost.values()) or 1.0
    return Compared(
        one,
        speedup=base.seconds / one.seconds * base.workers,
        efficiency=whole / spent,
        useful=useful / accounted_for,
        loss={name: value / accounted_for for name, value in lost.items()},
    )


def _check(counts: Sequence[int], repeats: int) -> None:
    if not counts or any(not 1 <= count <= MOST_WORKERS for count in counts):
        message = "The numbers of workers make no sense."
        raise SettingInvalid(message, hint=f"They are from 1 to {MOST_WORKERS}: --workers 1,2,4")
    if not 1 <= repeats <= MOST_REPEATS:
        raise SettingInvalid(f"It can be repeated 1 to {MOST_REPEATS} times.")


def _warm(
    settings: Settings, request: RunRequest, told: Callable[[str], None], stop: threading.Event
) -> None:
    """Bring inputs and programs into memory: read all inputs, and work on the first one."""
    from grange.storage import uri_path

    with _fresh(settings, 1) as bench:
        run = bench.site.submit(replace(request, out=bench.out)).run
        size = f"{run.bytes_total / 1e6:,.1f} MB"
        told(f"{run.counts.total:,} inputs, {size}: they are read once, and the first is tried.")
        left, first = MOST_WARM_BYTES, ""
        for item in bench.runs.items(run):
            file = uri_path(item.uri)
            first = first or os.fspath(file)
            left -= _read(file, left)
            if left <= 0 or stop.is_set():
                break
    with _fresh(settings, 1) as bench:
        alone = replace(request, inputs=[first], include=(), exclude=(), out=bench.out)
        bench.site.drive(bench.site.submit(alone).run.id, workers=1, stop=stop)


def _read(file: Path, most_bytes: int) -> int:
    done = 0
    try:
        with file.open("rb", buffering=0) as opened:
            while done < most_bytes and (chunk := opened.read(_CHUNK_BYTES)):
                done += len(chunk)
    except OSError:
        pass  # Whoever works on it will say why.
    return done


def _measure_one(
    settings: Settings, request: RunRequest, count: int, stop: threading.Event
) -> Measured:
    with _fresh(settings, count) as bench:
        began_at = time.time()
        submitted = bench.site.submit(replace(request, out=bench.out, workers=count)).run
        run = bench.site.drive(submitted.id, workers=count, stop=stop)
        ended_at = time.time()
        spans = bench.runs.newest_spans(run, limit=MOST_SPANS)
    return Measured(
        workers=count,
        items=run.counts.total,
        failed=run.counts.failed,
        seconds=ended_at - began_at,
        **accounted(spans, workers=count, began_at=began_at, ended_at=ended_at),
    )


@dataclass(frozen=True)
class _Bench:
    """A site that knows nothing, and where its results go."""

    runs: Runs
    site: Site
    out: str


@contextmanager
def _fresh(settings: Settings, workers: int) -> Iterator[_Bench]:
    """A site that is gone with all of its files at the end. Models are those of the real home."""
    from grange.settings import load

    with tempfile.TemporaryDirectory(prefix="grange-scaling-", ignore_cleanup_errors=True) as home:
        flags = {"home": home, "database": f"sqlite:///{home}/grange.db", "engine": "local"}
        anew = load({**flags, "workers": workers, "timeout_seconds": settings.timeout_seconds})
        with open_runs(anew) as runs:
            yield _Bench(runs, Site(anew, runs), f"{home}/out")


def _median(found: Sequence[Measured]) -> Measured:
    middle = statistics.median_low([one.seconds for one in found])
    return next(one for one in found if one.seconds == middle)
