"""A station reaches buckets itself: its workers see files, and no key of the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from grange.client.work import Work
from grange.core.tasks import Job, Outcome, OutcomeState, Output, Task, TaskKind, staging_token
from grange.errors import ServerUnreachable
from grange.storage import Stored, open_store, seal, uri_path
from grange.storage.s3client import S3Client
from grange.storage.s3urls import object_uri
from grange.worker.fetching import Fetcher
from grange.worker.station.bringing import Bringer
from grange.worker.station.carrying import Carrier
from grange.worker.station.home import Home, open_home
from grange.worker.station.mounts import Mounts
from grange.worker.station.routes import Route, Routes, Way
from tests.buckets import Bucket

pytestmark = pytest.mark.s3

RUN = "0123456789"
FILES = {"copy": b"some bytes", "deep/more": b"more bytes"}


def test_an_object_is_brought_and_stays_what_it_was(bucket: Bucket, tmp_path: Path) -> None:
    """Under its own name, with its digest known; what was brought once is not brought again."""
    bucket.put("in/a b.txt", b"an input")
    [found] = S3Client(bucket.name).list("in/")
    task = Task(
        1,
        1,
        TaskKind.PROCESS,
        "a b.txt",
        object_uri(bucket.name, found.key),
        found.size,
        found.stamp_ns,
    )
    with open_home(tmp_path / "home") as home:
        bringer = _bringer(home)
        route = Routes(home, Mounts(())).of(_job(bucket))
        assert bringer.at_hand(route, task) is None

        for travelled in ((found.size, False), (0, True)):
            brought = bringer.bring(route, task, lambda: True)
            here = uri_path(brought.task.uri)
            assert ("a b.txt", b"an input") == (here.name, here.read_bytes())
            assert brought.task.sha256 is not None
            assert travelled == (brought.fetched_bytes, brought.from_cache)
            brought.hold.close()


def test_outputs_go_to_the_bucket_itself(bucket: Bucket, tmp_path: Path) -> None:
    """The driver finds what was staged here and publishes it; nothing of it stays here."""
    with open_home(tmp_path / "home") as home:
        route, outcome = _done(home, bucket, 7)
        carrier = Carrier(_nowhere, home.work)
        assert Way.BUCKET == route.outputs
        assert carrier.needed(route, outcome)

        told, size = carrier.carry(route, outcome)
        carrier.carry(route, outcome)
        carrier.clear(route, [(7, 1)])

        assert (outcome.outputs, 20) == (told.outputs, size)
        assert not [one for one in home.folder.rglob("copy") if one.is_file()]
    out = open_store(f"{bucket.url}/out", work=tmp_path / "driver")
    out.publish(staging_token(RUN, 7, 1), "item", expect=_stored(told))
    assert FILES == {
        one.path.removeprefix("item/"): b"".join(out.read(one.path)) for one in out.list("item")
    }


def test_parts_are_fetched_from_the_bucket_for_a_merge(bucket: Bucket, tmp_path: Path) -> None:
    """Whichever machine has made them."""
    with open_home(tmp_path / "one") as home:
        route, outcome = _done(home, bucket, 7)
        Carrier(_nowhere, home.work).carry(route, outcome)
    bucket.put("in/a", b"an input")
    [found] = S3Client(bucket.name).list("in/")
    parts = [{"number": 0, "result": None, "token": staging_token(RUN, 7, 1)}]
    merge = Task(
        9, 1, TaskKind.MERGE, "a", object_uri(bucket.name, found.key), found.size, found.stamp_ns
    )
    merge.payload = {"parts": parts}
    with open_home(tmp_path / "two") as home:
        route = Routes(home, Mounts(())).of(_job(bucket))

        brought = _bringer(home).bring(route, merge, lambda: True)

        staged = open_store(route.local.store).staging(staging_token(RUN, 7, 1))
        assert FILES == {
            str(one.relative_to(staged)): one.read_bytes()
            for one in staged.rglob("*")
            if one.is_file()
        }
        brought.hold.close()
        assert [] == list(open_store(route.local.store).staged())


def test_without_keys_of_its_own_everything_goes_through_the_server(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a machine needs no more than its line."""
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with open_home(tmp_path / "home") as home:
        assert Way.SERVER == Routes(home, Mounts(())).of(_job(bucket)).outputs


def _nowhere() -> Work:
    raise ServerUnreachable("No server is asked for this.")


def _bringer(home: Home) -> Bringer:
    return Bringer(_nowhere, Fetcher(home.inputs), Mounts(()), staged=home.work)


def _job(bucket: Bucket) -> Job:
    return Job(RUN, "command", {}, f"{bucket.url}/out", "/nowhere/logs")


def _done(home: Home, bucket: Bucket, task: int) -> tuple[Route, Outcome]:
    """An attempt that a worker has ended here."""
    route = Routes(home, Mounts(())).of(_job(bucket))
    folder = open_store(route.local.store).staging(staging_token(RUN, task, 1))
    for path, content in FILES.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    outputs = tuple(
        Output(one.path, one.size, one.sha256 or "", one.mtime_ns or 0) for one in seal(folder)
    )
    return route, Outcome(task, 1, OutcomeState.DONE, outputs=outputs)


def _stored(outcome: Outcome) -> list[Stored]:
    return [Stored(one.path, one.size, one.sha256, one.mtime_ns) for one in outcome.outputs]
