"""No-op tasks as Celery tasks over RabbitMQ, acknowledged late, on two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from celery import Celery

from benchmarks.measure import ROOT
from benchmarks.tally import count, counted, processes, wait_for

URL = "BENCHMARK_BROKER"
TALLY = "BENCHMARK_TALLY"
PROCESSES = 2
# Four, as Celery has it, would let workers wait for the next messages of tasks so short.
PREFETCH = 64
PATIENCE_SECONDS = 120.0

app = Celery("noop", broker=os.environ.get(URL))
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=PREFETCH)


@app.task(name="noop")  # type: ignore[untyped-decorator]
def noop() -> None:
    count(Path(os.environ[TALLY]))


def run(url: str, tasks: str) -> dict[str, float]:
    """Send so many; the clock starts when both processes have done some."""
    number = int(tasks)
    app.conf.broker_url = url
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.brokeredcelery", "worker"]
        quiet = ["--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
        worker = subprocess.Popen(
            [*command, "--pool", "prefork", "-c", str(PROCESSES), *quiet],
            cwd=ROOT,
            env={**os.environ, URL: url, TALLY: folder, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_processes(place)
            warm = counted(place)
            begun = time.perf_counter()
            for _ in range(number):
                noop.delay()
            wait_for(place, warm + number, seconds=PATIENCE_SECONDS)
            return {"tasks": number, "seconds": time.perf_counter() - begun}
        finally:
            worker.terminate()
            worker.wait()


def _await_processes(place: Path) -> None:
    sent = 0
    while processes(place) < PROCESSES:
        for _ in range(20):
            noop.delay()
        sent += 20
        wait_for(place, sent, seconds=PATIENCE_SECONDS)


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
