"""No-op tasks on two workers: the local engine with its ledger, and others that keep no account.

Each repetition has a process of its own. The clock of the others starts when
their workers are up; Grange's starts before its own are spawned, and stops
when the end of the last item is on disk.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Result, Row, Target, in_child, in_turn, make_files

WORKERS = 2
TASKS = 100_000
REPETITIONS = 5
# These take too long for all of them; their rates do not depend on how many there are.
RAY_SHARE = 5
DASK_SHARE = 20

POOL = "ProcessPoolExecutor"
RAY = "Ray, a fifth of the tasks"
DASK = "Dask, a twentieth of the tasks"
GRANGE = "Grange, every end on disk"
FILES = "Grange, its manifest and report written too"

# What `PRAGMA synchronous` answers when each commit waits for the disk.
SYNCHRONOUS_FULL = 2


def measure(*, quick: bool = False) -> Result:
    """Compare the rates, side by side."""
    tasks, repetitions = (2_000, 1) if quick else (TASKS, REPETITIONS)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder, "inputs")
        make_files(inputs, tasks)
        names = [GRANGE, POOL, *(name for name, there in _OPTIONAL.items() if find_spec(there))]
        fewer = {RAY: tasks // RAY_SHARE, DASK: tasks // DASK_SHARE}
        contestants = {
            name: partial(in_child, "engine", name, inputs, fewer.get(name, tasks))
            for name in names
        }
        found = in_turn(contestants, repetitions=repetitions)
    rates = {
        name: [one["tasks"] / one["seconds"] for one in answers] for name, answers in found.items()
    }
    rates[FILES] = [one["tasks"] / one["seconds_with_files"] for one in found[GRANGE]]
    result = Result(
        "engine",
        f"No-op tasks, {WORKERS} workers, {tasks:,} tasks",
        "Grange reads and digests each of the (empty) input files and commits every claim, attempt "
        "and end to its SQLite ledger, in WAL mode with `synchronous=FULL`. Its time includes the "
        "start of its workers. The others' workers are up before their clock starts, they keep no "
        "account, and their tasks are calls of an empty function.",
        [Row(name, "tasks/s", values) for name, values in rates.items()],
    )
    grange = result.median(GRANGE)
    result.targets.append(Target(f"times {POOL}", grange / result.median(POOL), 2))
    if RAY in rates:
        result.targets.append(Target(f"times {RAY}", grange / result.median(RAY), 10))
    return result


def noop(_number: int = 0) -> None:
    pass


def run_grange(inputs: str, tasks: int) -> dict[str, float]:
    from grange import settings
    from grange.bootstrap import open_site
    from grange.core.events import Event, ItemEnded
    from grange.runs.models import RunRequest

    ended = 0
    last = 0.0

    def observe(event: Event) -> None:
        nonlocal ended, last
        if isinstance(event, ItemEnded):
            ended += 1
            if ended == tasks:
                last = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        chosen = settings.load({"home": f"{folder}/home"})
        request = RunRequest(
            pipeline=str(ROOT / "benchmarks" / "noop.py"), inputs=[inputs], out=f"{folder}/out"
        )
        with open_site(chosen) as site:
            _check_durable(chosen.database)
            run = site.submit(request).run
            begun = time.perf_counter()
            view = site.drive(run.id, workers=WORKERS, observer=observe)
            closed = time.perf_counter()
    assert view.counts.done == ended == tasks, view.counts
    return {"tasks": tasks, "seconds": last - begun, "seconds_with_files": closed - begun}


def run_pool(_inputs: str, tasks: int) -> dict[str, float]:
    from concurrent.futures import ProcessPoolExecutor, wait

    with ProcessPoolExecutor(WORKERS) as pool:
        wait([pool.submit(noop) for _ in range(100)])
        begun = time.perf_counter()
        done, _ = wait([pool.submit(noop) for _ in range(tasks)])
        seconds = time.perf_counter() - begun
    assert len(done) == tasks
    return {"tasks": tasks, "seconds": seconds}


def run_ray(_inputs: str, tasks: int) -> dict[str, float]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    task = ray.remote(noop)
    ray.get([task.remote() for _ in range(100)])
    begun = time.perf_counter()
    answers = ray.get([task.remote() for _ in range(tasks)])
    seconds = time.perf_counter() - begun
    ray.shutdown()
    assert len(answers) == tasks
    return {"tasks": tasks, "seconds": seconds}


def run_dask(_inputs: str, tasks: int) -> dict[str, float]:
    from distributed import Client, wait

    with Client(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as client:
        wait(client.map(noop, range(100), pure=False))
        begun = time.perf_counter()
        done, _ = wait(client.map(noop, range(tasks), pure=False))
        seconds = time.perf_counter() - begun
    assert len(done) == tasks
    return {"tasks": tasks, "seconds": seconds}


def _check_durable(url: str) -> None:
    """Make sure that each commit waits for the disk: the settings are each connection's own."""
    from grange.db import open_database

    database = open_database(url)
    with database.write() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == SYNCHRONOUS_FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    database.close()


_OPTIONAL = {RAY: "ray", DASK: "distributed"}
_RUNNERS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    GRANGE: run_grange,
    POOL: run_pool,
    RAY: run_ray,
    DASK: run_dask,
}

if __name__ == "__main__":
    print(json.dumps(_RUNNERS[sys.argv[1]](sys.argv[2], int(sys.argv[3]))))
