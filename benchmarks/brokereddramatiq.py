"""No-op tasks as Dramatiq actors over RabbitMQ, on two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.measure import ROOT
from benchmarks.tally import count, counted, processes, wait_for

URL = "BENCHMARK_BROKER"
TALLY = "BENCHMARK_TALLY"
PROCESSES = 2
PATIENCE_SECONDS = 120.0
# What was found to be quicker for tasks so short: the eight threads that it has by itself wait for
# each other in each process, and one with two messages ahead waits for the broker.
THREADS = 1
PREFETCH = 64

if URL in os.environ:
    dramatiq.set_broker(RabbitmqBroker(url=os.environ[URL]))


@dramatiq.actor  # type: ignore[untyped-decorator]
def noop() -> None:
    count(Path(os.environ[TALLY]))


def run(url: str, tasks: str, confirmed: str = "") -> dict[str, float]:
    """Send so many; the clock starts when both processes have done some.

    With a third word each call waits until the broker has the message on its disk.
    """
    number = int(tasks)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        broker = RabbitmqBroker(url=url, confirm_delivery=bool(confirmed))
        dramatiq.set_broker(broker)
        noop.broker = broker
        broker.declare_actor(noop)
        command = [sys.executable, "-m", "dramatiq", "benchmarks.brokereddramatiq"]
        workers = ["--processes", str(PROCESSES), "--threads", str(THREADS)]
        settings = {"dramatiq_queue_prefetch": str(PREFETCH)}
        worker = subprocess.Popen(
            [*command, *workers, "--path", str(ROOT)],
            cwd=ROOT,
            env={**os.environ, **settings, URL: url, TALLY: folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await_processes(place)
            warm = counted(place)
            begun = time.perf_counter()
            for _ in range(number):
                noop.send()
            wait_for(place, warm + number, seconds=PATIENCE_SECONDS)
            return {"tasks": number, "seconds": time.perf_counter() - begun}
        finally:
            worker.terminate()
            worker.wait()


def _await_processes(place: Path) -> None:
    sent = 0
    while processes(place) < PROCESSES:
        for _ in range(20):
            noop.send()
        sent += 20
        wait_for(place, sent, seconds=PATIENCE_SECONDS)


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
