"""`grange watch` over a bucket of a real S3 server."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.buckets import Bucket
from tests.cli.watched import Place, place_in

pytestmark = pytest.mark.s3


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Give an output folder of the test's own."""
    with place_in(tmp_path) as place:
        yield place


def _fetched(home: Path) -> list[Path]:
    """Give the objects that lie in the home."""
    return [one for one in home.glob("runs/*/inbox/**/*") if one.is_file()]


def test_objects_become_items(place: Place, bucket: Bucket, home: Path) -> None:
    """Before and while it watches; fetched, worked on, and gone from this machine again."""
    bucket.put("in/a.txt", b"one two")
    bucket.put("in/cam 1/b.txt", b"three")
    bucket.put("other/c.txt", b"not mine")
    watched = place.watch(inbox=f"{bucket.url}/in")
    watched.items("a.txt", "cam 1/b.txt")
    bucket.put("in/d.txt", b"four five six")
    watched.item("d.txt", state="done")
    bucket.put("in/a.txt", b"replaced")
    watched.item("a.txt", state="done")

    assert 0 == watched.stop()

    results = {name: place.count(name) for name in ("a.txt", "cam 1/b.txt", "d.txt")}
    assert {"a.txt": "1", "cam 1/b.txt": "1", "d.txt": "3"} == results
    assert set(results) == set(place.items())
    assert [] == _fetched(home)


def test_nothing_is_fetched_twice_for_the_same_bytes(place: Place, bucket: Bucket) -> None:
    """Not after a restart; an object that was written again with what it held is no new work."""
    bucket.put("a.txt", b"same")
    first = place.once(inbox=bucket.url)
    bucket.put("a.txt", b"same")
    second = place.once(inbox=bucket.url)

    assert ["a.txt"] == [one["path"] for one in first if one["event"] == "item"]
    assert [] == [one for one in second if one["event"] == "item"]


def test_odd_keys_stop_nothing(place: Place, bucket: Bucket, home: Path) -> None:
    """What could lead out of a folder is passed over and said; all others are worked on."""
    good = ["plain.txt", "ü #?%20*[x].txt", "back\\slash.txt", "deep/er/a.txt"]
    bad = ["../up.txt", "a//b.txt", "./dot.txt", "x/../../../etc/y.txt", "n" * 300 + ".txt"]
    left = ["folder/", ".hidden.txt", "half.txt.part", "notes.md"]
    for key in (*good, *bad, *left):
        bucket.put(f"in/{key}", b"word")

    said = place.once(inbox=f"{bucket.url}/in/")

    ends = {one["path"]: one["state"] for one in said if one["event"] == "item"}
    assert dict.fromkeys(good, "done") == ends
    assert len(bad) == len([one for one in said if one["event"] == "note"])
    assert set(good) == set(place.items())
    assert not (place.folder / "up.txt").exists()
    assert [] == _fetched(home)


def test_a_killed_watch_goes_on(place: Place, bucket: Bucket, home: Path) -> None:
    """What was fetched is worked on, or fetched again; nothing of it stays behind."""
    for number in range(4):
        bucket.put(f"{number}.txt", b"word")
    watched = place.watch("--set", "slow=0.5", inbox=bucket.url)
    watched.item("0.txt")
    watched.kill()

    said = place.once("--set", "slow=0.5", inbox=bucket.url)

    ends = {one["path"] for one in said if one["event"] == "item"}
    assert "0.txt" not in ends
    assert {"done"} == {one["state"] for one in place.items().values()}
    assert 4 == len(place.items())
    assert [] == _fetched(home)


def test_a_server_that_goes_away_is_said_once_and_waited_for(place: Place, bucket: Bucket) -> None:
    """The watch goes on when it is back."""
    bucket.put("a.txt", b"word")
    watched = place.watch(inbox=bucket.url)
    watched.item("a.txt")
    bucket.server.stop_gateway()
    try:
        watched.note("can't be reached")
    finally:
        bucket.server.start_gateway()
    bucket.put("b.txt", b"word")
    watched.item("b.txt", state="done")
    watched.stop()

    assert 2 == len([one for one in watched.rest() if one["event"] == "note"])


def test_no_secret_is_written_down(place: Place, bucket: Bucket, home: Path) -> None:
    """Neither the credentials nor the endpoint are in the ledger, the logs or the results."""
    bucket.put("a.txt", b"word")
    bucket.put("b.txt", b"bad")
    place.once(inbox=bucket.url)

    hidden = [
        one.encode()
        for one in (bucket.server.secret_key, bucket.server.access_key, bucket.server.url)
    ]
    with sqlite3.connect(home / "grange.db") as ledger:
        ledger.execute("pragma wal_checkpoint(truncate)")
    ledger.close()
    written = [one for folder in (home, place.out) for one in folder.rglob("*") if one.is_file()]
    assert home / "grange.db" in written
    for file in written:
        content = file.read_bytes()
        assert not [one for one in hidden if one in content], file


def test_a_bucket_that_is_not_there_is_refused(place: Place, bucket: Bucket) -> None:
    """At once, and without a run."""
    words = place.words("--once", inbox="s3://no-such-bucket")
    refused = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    assert 1 == refused.returncode
    assert "store.missing" in refused.stdout
