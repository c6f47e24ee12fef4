"""Somebody else's workers at a broker: started, waited for, and given no-ops by the clock."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.measure import ROOT
from benchmarks.tally import count, counted, processes, wait_for

URL = "BENCHMARK_BROKER"
_TALLY = "BENCHMARK_TALLY"
PROCESSES = 2
# As many messages ahead of each: with fewer, workers wait for the broker when tasks are so short.
PREFETCH = 64
PATIENCE_SECONDS = 120.0


def did() -> None:
    """A task is done; to be called by the workers."""
    count(Path(os.environ[_TALLY]))


def timed(
    url: str,
    command: Sequence[str],
    send: Callable[[], object],
    number: int,
    environment: Mapping[str, str],
) -> dict[str, float]:
    """Start workers by a command, and send them so many tasks.

    The clock starts when each of the processes has done some, with the first call of `send`.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        worker = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment, URL: url, _TALLY: folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_processes(place, send)
            warm = counted(place)
            begun = time.perf_counter()
            for _ in range(number):
                send()
            wait_for(place, warm + number, seconds=PATIENCE_SECONDS)
            return {"tasks": number, "seconds": time.perf_counter() - begun}
        finally:
            worker.terminate()
            worker.wait()


def _await_processes(place: Path, send: Callable[[], object]) -> None:
    sent = 0
    while processes(place) < PROCESSES:
        for _ in range(20):
            send()
        sent += 20
        wait_for(place, sent, seconds=PATIENCE_SECONDS)
