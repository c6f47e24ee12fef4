"""One worker against four on wildlife: machines of a pool, each with its own share of a processor.

A server with RabbitMQ, and workers that have joined it. Each worker is a container that has so
much of a core and no more, as a small machine has it; without Docker it is a control
group. The server, its driver and the broker have what is left.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.broker import broker
from benchmarks.clips import clips
from benchmarks.containers import docker_there
from benchmarks.machines import Machine, done, farm, submit
from benchmarks.measure import Result, Row, Target, in_turn
from benchmarks.site import Server, Site, make_site
from grange.bootstrap.scaling import accounted
from grange.db import open_database
from grange.runs.reads import Reads

WORKERS = (1, 4)
# Of a core, for each worker: four of them leave some for the server on a machine of two.
CORES = 0.35
# So many that loading models and writing the report are a small part of it, as in daily use.
CLIPS, SECONDS = 80, 5.0
QUICK_CLIPS = 4
REPETITIONS = 1
LIMIT = 0.9
MOST_SPANS = 100_000
PARTS = ("working", "starting", "waiting", "idle", "closing")


def measure(*, quick: bool = False) -> Result:
    """Let each number of workers do the same run in turn, each time with a new server."""
    folder = clips(QUICK_CLIPS if quick else CLIPS, SECONDS)
    counts = {f"{count} worker{'s' if count > 1 else ''}": count for count in WORKERS}
    contestants: dict[str, Callable[[], dict[str, float]]] = {
        name: partial(_run, folder, count) for name, count in counts.items()
    }
    found = in_turn(contestants, repetitions=1 if quick else REPETITIONS)
    result = Result(
        "scaling",
        "One worker against four",
        f"{len(list(folder.glob('*.mp4')))} rendered clips of {SECONDS:g} s through the wildlife "
        f"pipeline, by {_kind()} that have {CORES:g} of a core each, over RabbitMQ, from the "
        "submission to the last file of the results. Workers are up and have joined when the "
        f"clock starts; they load their models while it runs. Of this machine's {os.cpu_count()} "
        f"cores, {WORKERS[-1]} of them have {WORKERS[-1] * CORES:g}, and the server, its driver "
        "and the broker what is left. The parts are seconds of one worker, on average: `starting` "
        "until its first task, `waiting` between tasks, `idle` while only others still work, "
        "`closing` while the report and the account are written.",
        [
            Row(f"{name}, {what}", "s", [one[what] for one in times], digits=1)
            for name, times in found.items()
            for what in ("seconds", *PARTS)
        ],
    )
    one, several = (result.median(f"{name}, seconds") for name in counts)
    efficiency = one / several / WORKERS[-1] * WORKERS[0]
    result.targets.append(Target("of what four times one worker would do", efficiency, LIMIT))
    return result


def _kind() -> str:
    return "workers in containers (Docker)" if docker_there() else "workers in control groups"


def _run(folder: Path, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place, ExitStack() as opened:
        url = opened.enter_context(broker())
        site = make_site(Path(place, "home"), runs_number=0)
        machines = [Machine(cores=CORES)] * count
        server = opened.enter_context(farm(site, url, folder, machines))
        return _timed(site, server, folder, count)


def _timed(site: Site, server: Server, folder: Path, count: int) -> dict[str, float]:
    token = site.tokens["ada"]
    began_at = time.time()
    run = submit(server, token, "wildlife", folder)
    done(server, token, run)
    ended_at = time.time()
    database = open_database(site.database)
    reads = Reads(database)
    spans = reads.newest_spans(reads.find(run), limit=MOST_SPANS)
    database.close()
    parts = accounted(spans, workers=count, began_at=began_at, ended_at=ended_at)
    return {"seconds": ended_at - began_at, **parts}
