"""The wildlife cluster's consumer loop: a queue of clips, two consumers, two programs for each.

As the cluster had it: a blocking connection of pika's, one message at a time, work inside of the
callback, the message acknowledged after it, a heartbeat of twenty minutes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.broker import broker
from benchmarks.measure import ROOT

QUEUE = "input_file_que"
DONE = "done"
HEARTBEAT_SECONDS = 1200
CONSUMERS = 2


def run(folder: str, out: str, sample: str, threads: str, scales: str) -> dict[str, float]:
    """Analyse the folder's clips; the clock starts when the consumers are up."""
    clips = sorted(Path(folder).glob("*.mp4"))
    with broker() as url:
        channel = _channel(url)
        command = [sys.executable, "-m", "benchmarks.wildlifecluster", "consume"]
        consumers = [
            subprocess.Popen([*command, url, out, sample, threads, scales], cwd=ROOT)
            for _ in range(CONSUMERS)
        ]
        try:
            _await(channel, CONSUMERS, consumers)
            begun = time.perf_counter()
            for clip in clips:
                channel.basic_publish("", QUEUE, str(clip).encode())
            _await(channel, len(clips), consumers)
            return {"seconds": time.perf_counter() - begun}
        finally:
            for consumer in consumers:
                consumer.kill()
                consumer.wait()


def consume(url: str, out: str, sample: str, threads: str, scales: str) -> None:
    from benchmarks.clips import imported, two_passes
    from grange.pipelines.wildlife.parameters import WildlifeParameters

    imported()
    params = WildlifeParameters(sample_fps=sample)
    channel = _channel(url)

    def work(channel: Any, method: Any, _properties: object, body: bytes) -> None:  # noqa: ANN401
        clip = Path(body.decode())
        two_passes(clip, Path(out, clip.name), params, int(threads), int(scales))
        channel.basic_publish("", DONE, body)
        channel.basic_ack(method.delivery_tag)

    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(QUEUE, work)
    channel.basic_publish("", DONE, b"ready")
    channel.start_consuming()


def _channel(url: str) -> Any:  # noqa: ANN401  # of an untyped library
    import pika

    parameters = pika.URLParameters(f"{url}?heartbeat={HEARTBEAT_SECONDS}")
    channel = pika.BlockingConnection(parameters).channel()
    for queue in (QUEUE, DONE):
        # RabbitMQ no longer takes the cluster's own queue, which did not outlive its server.
        channel.queue_declare(queue, durable=True)
    return channel


def _await(channel: Any, number: int, consumers: list[subprocess.Popen[bytes]]) -> None:  # noqa: ANN401
    seen = 0
    for _, _, body in channel.consume(DONE, auto_ack=True, inactivity_timeout=1):
        seen += body is not None
        if seen == number:
            break
        assert all(one.poll() is None for one in consumers), "a consumer has stopped"
    channel.cancel()


if __name__ == "__main__":
    if sys.argv[1] == "consume":
        consume(*sys.argv[2:])
    else:
        print(json.dumps(run(*sys.argv[1:])))
