"""A bucket that is away for longer than any request waits, amid the work of many machines."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.storage import open_store
from tests.brokers import Broker
from tests.buckets import Bucket, S3Server, s3
from tests.worker.station.stage import Stage, staged, until

pytestmark = [pytest.mark.s3, pytest.mark.faults, pytest.mark.timeout(400)]

SHELL = "sleep 0.5; cat {input} > {output}/copy"
CONTENTS = {f"{number:02}": f"{number}".encode() * 50_000 for number in range(40)}
OUTAGE_SECONDS = 75.0


@pytest.fixture(scope="module")
def gateway() -> Iterator[S3Server]:
    """Give an S3 server of the module's own, to be taken away."""
    with s3() as server:
        yield server


@pytest.fixture(scope="module")
def bucket(gateway: S3Server) -> Bucket:
    """Give a bucket with inputs in it."""
    return gateway.make_bucket(CONTENTS)


@pytest.fixture(scope="module")
def stage(
    bucket: Bucket, tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: Broker
) -> Iterator[Stage]:
    """Run a server that reads from the bucket and writes to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.server.variables.items():
            patch.setenv(name, value)
        places = {"GRANGE_BUCKETS": bucket.url, "GRANGE_OUT_BUCKETS": bucket.url}
        with staged(tmp_path_factory.mktemp("away"), rabbitmq_server, **places) as stage:
            yield stage


@pytest.mark.parametrize("how", ["gone", "frozen"])
def test_work_waits_for_a_bucket_and_goes_on(stage: Stage, bucket: Bucket, how: str) -> None:
    """People see why; a worker with keys of its own and one without lose nothing, nor count it."""
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    stage.worker(f"keys-{how}", slots=2).wait_for("joined")
    stage.worker(f"none-{how}", slots=2, environment=none).wait_for("joined")
    out = f"{bucket.url}/out-{how}"
    run = stage.submit(Path(), SHELL, inputs=[{"share": f"{bucket.url}/in"}], out=out, retries=0)
    until(lambda: stage.run(run)["counts"]["done"] >= 4, "the first items")

    began = time.monotonic()
    _take_away(bucket.server, how)
    try:
        until(lambda: "can't be reached" in stage.run(run)["note"], "its note", seconds=200)
        assert _seconds_of(stage, f"/runs/{run}/outputs") < 30
        until(lambda: time.monotonic() - began > OUTAGE_SECONDS, "its end", seconds=200)
        assert stage.run(run)["counts"]["done"] < len(CONTENTS)
    finally:
        _bring_back(bucket.server, how)

    returned = time.monotonic()
    ended = stage.finish(run, seconds=120)
    assert [] == stage.admin.get(f"/runs/{run}/failures").json()["items"]
    assert (len(CONTENTS), 0) == (ended["counts"]["done"], ended["counts"]["failed"])
    assert "" == ended["note"]
    store = open_store(out)
    assert CONTENTS == {
        one.path.removesuffix("/copy"): b"".join(store.read(one.path))
        for one in store.list()
        if one.path.endswith("/copy")
    }
    assert time.monotonic() - returned < 90


def _take_away(server: S3Server, how: str) -> None:
    if how == "gone":
        server.stop_gateway()
    else:
        _signal(server, signal.SIGSTOP)


def _bring_back(server: S3Server, how: str) -> None:
    if how == "gone":
        server.start_gateway()
    else:
        _signal(server, signal.SIGCONT)


def _signal(server: S3Server, number: signal.Signals) -> None:
    assert server.gateway is not None
    os.killpg(server.gateway.pid, number)


def _seconds_of(stage: Stage, path: str) -> float:
    """How long an answer takes, whatever it says."""
    began = time.monotonic()
    assert stage.admin.get(path).status_code in {200, 503}
    return time.monotonic() - began
