"""Clips as Celery tasks, on two processes that keep their models."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from celery import Celery
from celery.signals import worker_process_init

from benchmarks.broker import broker
from benchmarks.measure import ROOT

if TYPE_CHECKING:
    from benchmarks.clips import Warm
    from grange.pipelines.wildlife.parameters import WildlifeParameters

URL = "BENCHMARK_BROKER"
SAMPLE = "BENCHMARK_SAMPLE"
THREADS = "BENCHMARK_THREADS"
PROCESSES = 2
START_SECONDS = 120.0

app = Celery("clips", broker=os.environ.get(URL), backend="rpc://")
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)

warm: list[tuple[WildlifeParameters, Warm]] = []


@worker_process_init.connect  # type: ignore[untyped-decorator]
def load(**_told: object) -> None:
    from benchmarks.clips import Warm, imported
    from grange.pipelines.wildlife.kit import kit_of
    from grange.pipelines.wildlife.parameters import WildlifeParameters

    imported()
    params = WildlifeParameters(sample_fps=os.environ[SAMPLE])
    warm.append((params, Warm(kit_of(params), int(os.environ[THREADS])).load()))


@app.task(name="look")  # type: ignore[untyped-decorator]
def look(clip: str, out: str) -> None:
    from benchmarks.clips import one_pass

    params, models = warm[0]
    one_pass(Path(clip), Path(out, Path(clip).name), params, models)


@app.task(name="process")  # type: ignore[untyped-decorator]
def process() -> int:
    time.sleep(0.2)
    return os.getpid()


def run(folder: str, out: str, sample: str, threads: str) -> dict[str, float]:
    """Analyse the folder's clips; the clock starts when both processes have loaded all models."""
    clips = sorted(Path(folder).glob("*.mp4"))
    with broker() as url:
        told = {URL: url, SAMPLE: sample, THREADS: threads}
        app.conf.broker_url = url
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.wildlifecelery", "worker"]
        quiet = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
        worker = subprocess.Popen(
            [*command, "--pool", "prefork", "-c", str(PROCESSES), *quiet],
            cwd=ROOT,
            env={**os.environ, **told, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
        )
        try:
            _await_processes()
            begun = time.perf_counter()
            results = [look.delay(str(clip), out) for clip in clips]
            for one in results:
                one.get()
            return {"seconds": time.perf_counter() - begun}
        finally:
            worker.terminate()
            worker.wait()


def _await_processes() -> None:
    deadline = time.monotonic() + START_SECONDS
    seen: set[int] = set()
    while len(seen) < PROCESSES:
        asked = [process.delay() for _ in range(2 * PROCESSES)]
        seen |= {one.get(timeout=deadline - time.monotonic()) for one in asked}


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
