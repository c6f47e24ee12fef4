"""No-op tasks as Celery tasks over RabbitMQ, acknowledged late, on two processes."""

from __future__ import annotations

import json
import os
import sys

from celery import Celery

from benchmarks.peer import PREFETCH, PROCESSES, URL, did, timed

app = Celery("noop", broker=os.environ.get(URL))
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=PREFETCH)


@app.task(name="noop")  # type: ignore[untyped-decorator]
def noop() -> None:
    did()


def run(url: str, tasks: str) -> dict[str, float]:
    """Send so many; the clock starts when both processes have done some."""
    app.conf.broker_url = url
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.brokeredcelery", "worker"]
    command += ["--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    command += ["--pool", "prefork", "-c", str(PROCESSES)]
    return timed(url, command, noop.delay, int(tasks), {})


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
