"""No-op tasks as Dramatiq actors over RabbitMQ, on two processes."""

from __future__ import annotations

import json
import os
import sys

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.measure import ROOT
from benchmarks.peer import PREFETCH, PROCESSES, URL, did, timed

# What was found to be quicker for tasks so short: the eight threads that it has by itself wait for
# each other in each process.
THREADS = 1

if URL in os.environ:
    dramatiq.set_broker(RabbitmqBroker(url=os.environ[URL]))


@dramatiq.actor  # type: ignore[untyped-decorator]
def noop() -> None:
    did()


def run(url: str, tasks: str, confirmed: str = "") -> dict[str, float]:
    """Send so many; the clock starts when both processes have done some.

    With a third word each call waits until the broker has the message on its disk.
    """
    broker = RabbitmqBroker(url=url, confirm_delivery=bool(confirmed))
    dramatiq.set_broker(broker)
    noop.broker = broker
    broker.declare_actor(noop)
    command = [sys.executable, "-m", "dramatiq", "benchmarks.brokereddramatiq", "--path", str(ROOT)]
    command += ["--processes", str(PROCESSES), "--threads", str(THREADS)]
    return timed(url, command, noop.send, int(tasks), {"dramatiq_queue_prefetch": str(PREFETCH)})


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:])))
