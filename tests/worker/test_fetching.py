"""Inputs that were fetched: bounded, shared, held, and believed only while they are what came."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from grange.core.tasks import Task, TaskKind
from grange.errors import InputChanged, InputMissing, InputUnreadable, StoreError
from grange.storage.s3client import S3Client
from grange.storage.s3urls import object_uri
from grange.worker import fetching
from grange.worker.fetching import Fetcher
from grange.worker.inputs import Input
from tests.buckets import Bucket

MTIME_NS = 1_700_000_000_123_456_789


class Source:
    """Something that files can be brought from, and how often they were."""

    def __init__(self) -> None:
        self.times = 0

    def of(self, content: bytes) -> Callable[[Path], str | None]:
        """Give what writes this content."""

        def write(target: Path) -> str | None:
            self.times += 1
            target.write_bytes(content)
            return None

        return write


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("in/*"))


def test_a_file_is_brought_once_and_held_as_it_is(tmp_path: Path) -> None:
    """Under its own name, with its time and its digest; also for whoever opens the same folder."""
    source = Source()
    for is_fresh in (True, False):
        held = Fetcher(tmp_path).bring("key", "deer.mp4", 3, MTIME_NS, source.of(b"fox"))
        with held as here:
            assert is_fresh is here.is_fresh
            assert "deer.mp4" == here.path.name
            assert b"fox" == here.path.read_bytes()
            assert MTIME_NS == here.path.stat().st_mtime_ns
            assert hashlib.sha256(b"fox").hexdigest() == here.sha256
    assert 1 == source.times
    assert 3 == Fetcher(tmp_path).held_bytes()


def test_another_state_is_another_file(tmp_path: Path) -> None:
    """Nothing old is taken for what was asked for."""
    fetcher, source = Fetcher(tmp_path), Source()
    with fetcher.bring("key", "a", 3, MTIME_NS, source.of(b"old")):
        pass
    with fetcher.bring("key", "a", 3, MTIME_NS + 1, source.of(b"new")) as here:
        assert b"new" == here.path.read_bytes()


@pytest.mark.parametrize("touched", ["changed", "shortened", "deleted"])
def test_a_file_that_is_not_what_came_is_brought_again(tmp_path: Path, touched: str) -> None:
    """Though its size and its time may say that it is."""
    fetcher, source = Fetcher(tmp_path), Source()
    with fetcher.bring("key", "a", 3, MTIME_NS, source.of(b"fox")) as here:
        path = here.path
    if touched == "deleted":
        path.unlink()
    else:
        path.write_bytes(b"fax" if touched == "changed" else b"f")
        os.utime(path, ns=(MTIME_NS, MTIME_NS))

    with fetcher.bring("key", "a", 3, MTIME_NS, source.of(b"fox")) as here:
        assert b"fox" == here.path.read_bytes()

    assert 2 == source.times


def test_a_file_that_was_only_looked_at_closely_is_kept(tmp_path: Path) -> None:
    """Its digest decides, when more than its bytes has changed."""
    fetcher, source = Fetcher(tmp_path), Source()
    with fetcher.bring("key", "a", 3, MTIME_NS, source.of(b"fox")) as here:
        here.path.chmod(0o400)

    with fetcher.bring("key", "a", 3, MTIME_NS, source.of(b"fox")):
        assert 1 == source.times


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    """No more than the limit is kept, and what is held stays."""
    fetcher, source = Fetcher(tmp_path, 10), Source()
    with fetcher.bring("held", "a", 4, MTIME_NS, source.of(b"held")) as held:
        for number in range(6):
            with fetcher.bring(f"{number}", "a", 3, MTIME_NS, source.of(b"%3d" % number)):
                assert _size(tmp_path) <= 10
        assert b"held" == held.path.read_bytes()
    brought = source.times
    with fetcher.bring("5", "a", 3, MTIME_NS, source.of(b"  5")):
        pass
    assert brought == source.times
    with fetcher.bring("0", "a", 3, MTIME_NS, source.of(b"  0")):
        pass
    assert brought + 1 == source.times


def test_who_needs_room_waits_for_it(tmp_path: Path) -> None:
    """Until others are done with theirs."""
    fetcher, source = Fetcher(tmp_path, 10), Source()
    came: list[bytes] = []

    def bring() -> None:
        with fetcher.bring("second", "a", 6, MTIME_NS, source.of(b"second")) as here:
            came.append(here.path.read_bytes())

    with fetcher.bring("first", "a", 6, MTIME_NS, source.of(b"first!")):
        waiting = threading.Thread(target=bring)
        waiting.start()
        waiting.join(0.5)
        assert [] == came
    waiting.join(10)

    assert [b"second"] == came


def test_what_is_larger_than_all_the_room_is_brought_alone(tmp_path: Path) -> None:
    """There is no other way to work on it; it goes when the room is wanted."""
    fetcher, source = Fetcher(tmp_path, 5), Source()
    with fetcher.bring("large", "a", 9, MTIME_NS, source.of(b"too large")) as here:
        assert b"too large" == here.path.read_bytes()
    with fetcher.bring("small", "a", 1, MTIME_NS, source.of(b"x")):
        assert 1 == _size(tmp_path)


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    """No half of a file, and no room that is taken; the reason passes."""
    fetcher = Fetcher(tmp_path)

    def broken(target: Path) -> str | None:
        target.write_bytes(b"half")
        message = "the camera fell into the river"
        raise StoreError(message)

    with pytest.raises(StoreError, match="river"), fetcher.bring("a", "a", 9, MTIME_NS, broken):
        pass
    with (
        pytest.raises(InputChanged, match="4 bytes"),
        fetcher.bring("a", "a", 9, MTIME_NS, Source().of(b"four")),
    ):
        pass

    assert 0 == fetcher.held_bytes()
    assert 0 == _size(tmp_path)


def _bring_slowly(folder: str, log: str) -> None:
    def write(target: Path) -> str | None:
        with Path(log).open("a") as file:
            file.write("x")
        time.sleep(0.3)
        target.write_bytes(b"fox")
        return None

    for _ in range(5):
        with Fetcher(Path(folder)).bring("key", "a", 3, MTIME_NS, write) as here:
            assert b"fox" == here.path.read_bytes()


def test_of_many_processes_one_brings_it(tmp_path: Path) -> None:
    """The others wait for that one, and use the same file."""
    context = multiprocessing.get_context("fork")
    log = tmp_path / "log"
    arguments = (str(tmp_path / "cache"), str(log))
    processes = [context.Process(target=_bring_slowly, args=arguments) for _ in range(4)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(30)

    assert [0] * 4 == [one.exitcode for one in processes]
    assert "x" == log.read_text()


@pytest.mark.s3
def test_an_object_is_an_input_like_a_file(bucket: Bucket, tmp_path: Path) -> None:
    """With its name and its digest, while it is what it was."""
    fetcher, content = Fetcher(tmp_path), os.urandom(3 << 20)
    bucket.put("in/deer ü.mp4", content)
    task = _task(bucket, "in/deer ü.mp4")

    with Input(task, fetcher) as source:
        assert "deer ü.mp4" == source.path.name
        assert content == source.path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == source.wait()
        source.check()

    bucket.remove("in/deer ü.mp4")
    with Input(task, fetcher) as source:
        assert content == source.path.read_bytes()


@pytest.mark.s3
@pytest.mark.parametrize(
    ("act", "kind"),
    [("replace", InputChanged), ("remove", InputMissing), ("lock", InputUnreadable)],
)
def test_an_object_that_is_not_what_it_was_is_no_input(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, kind: type[Exception]
) -> None:
    """Each way has its reason, and nothing of it stays here."""
    fetching._client.cache_clear()
    bucket.put("a", b"old")
    task = _task(bucket, "a")
    if act == "replace":
        bucket.put("a", b"new")
    elif act == "remove":
        bucket.remove("a")
    else:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "WRONG")

    with pytest.raises(kind) as refused, ExitStack() as stack:
        stack.enter_context(Input(task, Fetcher(tmp_path)))

    fetching._client.cache_clear()
    assert bucket.server.url not in str(refused.value)
    assert 0 == _size(tmp_path)


def _task(bucket: Bucket, key: str) -> Task:
    (found,) = S3Client(bucket.name).list(key)
    uri = object_uri(bucket.name, key)
    return Task(1, 1, TaskKind.PROCESS, key, uri, found.size, found.stamp_ns)
