"""Inputs and results in buckets, done by machines with keys of the bucket and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grange.storage import open_store
from tests.brokers import Broker
from tests.buckets import Bucket, S3Server
from tests.faults import parts
from tests.worker.station.stage import Stage, staged

pytestmark = [pytest.mark.s3, pytest.mark.long]

CONTENTS = {"a.txt": b"a", "deep/b ü.txt": b"b" * 3_000_000, "c.txt": b"c" * 70_000}
WITHOUT = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> Bucket:
    """Give a bucket with inputs in it."""
    return s3_server.make_bucket(CONTENTS)


@pytest.fixture(scope="module")
def _stage(
    bucket: Bucket, tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: Broker
) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.server.variables.items():
            patch.setenv(name, value)
        places = {"GRANGE_BUCKETS": bucket.url, "GRANGE_OUT_BUCKETS": bucket.url}
        with staged(tmp_path_factory.mktemp("buckets"), rabbitmq_server, **places) as stage:
            yield stage


@pytest.mark.parametrize("keys", [{}, WITHOUT], ids=["with keys", "without"])
def test_bytes_go_from_bucket_to_bucket(
    stage: Stage, bucket: Bucket, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the machine itself, or through the server: the same results, of whole items and parts."""
    for name, value in bucket.server.variables.items():
        monkeypatch.setenv(name, value)
    name = "without" if keys else "keys"
    # Neither sees a folder of the server's, where what is staged might be found.
    stage.worker(name, slots=2, environment=keys, prefix=stage.apart()).wait_for("joined")
    inputs = [{"share": f"{bucket.url}/in"}]

    copied = stage.submit(
        Path(), "cat {input} > {output}/copy", inputs=inputs, out=f"{bucket.url}/{name}", retries=0
    )
    halved = stage.submit(
        Path(),
        "",
        inputs=[{"share": f"{bucket.url}/in/a.txt"}],
        out=f"{bucket.url}/{name}-parts",
        pipeline=str(Path(parts.__file__).resolve()),
        params={},
        retries=0,
    )

    for run in (copied, halved):
        ended = stage.finish(run)
        assert "done" == ended["state"], stage.admin.get(f"/runs/{run}/failures").text
    assert CONTENTS == _results(f"{bucket.url}/{name}", "/copy")
    assert [b"A"] == list(_results(f"{bucket.url}/{name}-parts", "/capitals").values())


def _results(out: str, ending: str) -> dict[str, bytes]:
    store = open_store(out)
    return {
        one.path.removesuffix(ending): b"".join(store.read(one.path))
        for one in store.list()
        if one.path.endswith(ending)
    }
