"""Reading a bucket of a real S3 server."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from grange.errors import (
    GrangeError,
    SettingInvalid,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
)
from grange.storage.s3client import S3Client, S3Place, is_s3, parse_s3
from grange.storage.s3listing import S3Access, list_objects
from tests.buckets import Bucket

ODD = [
    "in/plain.txt",
    "in/with space.txt",
    "in/ü🐺#?%20*~[x]+&=.mp4",
    "in/back\\slash",
    "in/\"quoted'{}|^`<>",
    "in/line\nbreak",
    "in/tab\there",
    "in/empty//part",
    "in/../up",
    "in/./dot",
    "in/folder/",
    "in/" + "n" * 300,
]
FETCHABLE = ODD[:5]


@pytest.mark.s3
def test_every_key_is_listed_as_it_is(bucket: Bucket) -> None:
    """No key, however odd, hides another one, and none is changed."""
    for key in [*ODD, "other/a.txt", "innocent.txt"]:
        bucket.put(key, b"x" * len(key))

    found = {one.key: one for one in S3Client(bucket.name).list("in/")}

    assert set(ODD) == set(found)
    assert {key: len(key) for key in ODD} == {key: one.size for key, one in found.items()}
    assert all(one.etag and one.modified_ns > 10**18 for one in found.values())


@pytest.mark.s3
def test_a_long_list_comes_in_pages(bucket: Bucket) -> None:
    """More than one answer's worth is listed, each object once."""
    keys = [f"{number:03}" for number in range(25)]
    for key in keys:
        bucket.put(key, b"")
    variables = bucket.server.variables
    access = S3Access(
        bucket.server.url,
        "us-east-1",
        bucket.name,
        variables["AWS_ACCESS_KEY_ID"],
        variables["AWS_SECRET_ACCESS_KEY"],
    )

    assert keys == [one.key for one in list_objects(access, "", most=10)]


@pytest.mark.s3
def test_an_object_comes_as_it_is(bucket: Bucket, tmp_path: Path) -> None:
    """Whatever its key looks like, and in more than one piece."""
    contents = {key: os.urandom(number << 20) for number, key in enumerate(FETCHABLE)}
    contents[FETCHABLE[0]] = os.urandom(20 << 20)
    for key, content in contents.items():
        bucket.put(key, content)
    client = S3Client(bucket.name)

    for number, found in enumerate(client.list()):
        target = tmp_path / str(number)
        client.fetch(found, target)
        assert contents[found.key] == target.read_bytes()

    assert len(contents) == len(list(tmp_path.iterdir()))


@pytest.mark.s3
def test_an_object_that_was_replaced_is_not_taken_for_the_old_one(
    bucket: Bucket, tmp_path: Path
) -> None:
    """What was listed is fetched, or nothing is, and nothing half stays behind."""
    client = S3Client(bucket.name)
    bucket.put("a", b"old")
    (found,) = client.list()
    bucket.put("a", b"new")

    with pytest.raises(StoreMissing, match="replaced"):
        client.fetch(found, tmp_path / "a")
    bucket.remove("a")
    with pytest.raises(StoreMissing, match="gone"):
        client.fetch(found, tmp_path / "a")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.s3
def test_a_wrong_size_is_no_object(bucket: Bucket, tmp_path: Path) -> None:
    """Bytes that are too few or too many are no file."""
    client = S3Client(bucket.name)
    bucket.put("a", b"four")
    (found,) = client.list()

    with pytest.raises(StoreError, match="4 bytes in place of 5"):
        client.fetch(replace(found, size=5), tmp_path / "a")

    assert [] == list(tmp_path.iterdir())


@pytest.mark.s3
def test_a_full_disk_is_said_as_such(bucket: Bucket, small_disk: Path) -> None:
    """And the part that had room is removed."""
    client = S3Client(bucket.name)
    bucket.put("a", bytes(shutil.disk_usage(small_disk).free + 1))
    (found,) = client.list()

    with pytest.raises(StoreFull):
        client.fetch(found, small_disk / "a")

    assert [] == list(small_disk.iterdir())


@pytest.mark.s3
@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_credentials_are_said_and_not_shown(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    """The words name what to check, and neither the keys nor the endpoint."""
    bucket.put("a", b"x")
    (found,) = S3Client(bucket.name).list()
    monkeypatch.setenv(name, "WRONGWRONGWRONG")
    client = S3Client(bucket.name)

    for act in (client.check, lambda: client.fetch(found, tmp_path / "a")):
        with pytest.raises(StoreDenied) as refused:
            act()
        _check_no_secrets(refused.value, bucket)


@pytest.mark.s3
def test_a_bucket_that_is_not_there_is_missing(bucket: Bucket) -> None:
    """Its name is said."""
    with pytest.raises(StoreMissing, match="no-such-bucket"):
        S3Client("no-such-bucket").check()


@pytest.mark.s3
def test_a_server_that_is_away_is_said_without_its_address(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there: an error, soon."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    with pytest.raises(StoreError, match="can't be reached") as away:
        S3Client(bucket.name).check()

    _check_no_secrets(away.value, bucket)
    assert "127.0.0.1" not in str(away.value)


def test_keys_of_a_server_that_encodes_none_are_taken_as_they_are() -> None:
    """Such a server says so by not saying anything of it."""
    entry = (
        "<Contents><Key>in/a+b%20c.mp4</Key><Size>3</Size><ETag>e</ETag>"
        "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
    )
    page = f"<ListBucketResult>{entry}</ListBucketResult>".encode()

    with _answering(b"Content-Length: %d\r\n\r\n" % len(page) + page) as access:
        found = [one.key for one in list_objects(access, "in/")]

    assert ["in/a+b%20c.mp4"] == found


def test_an_answer_that_breaks_off_is_said() -> None:
    """Whoever looks again and again has to hear of it as of any other trouble."""
    broken = b"Transfer-Encoding: chunked\r\n\r\nff\r\n<ListBucket"

    with _answering(broken) as access, pytest.raises(StoreError, match="can't be reached"):
        list(list_objects(access, "in/"))


@pytest.mark.s3
def test_no_text_shows_an_access(bucket: Bucket) -> None:
    """A traceback with variables in it gives nothing away."""
    client = S3Client(bucket.name)

    assert bucket.server.secret_key not in repr(client._access)
    assert bucket.server.secret_key not in repr(vars(client))


def test_a_url_names_a_bucket_and_a_folder() -> None:
    """The folder's slash is ours to add; capital letters in the scheme don't matter."""
    assert S3Place("data", "") == parse_s3("s3://data")
    assert S3Place("data", "in/") == parse_s3("s3://data/in") == parse_s3("S3://data/in/")
    assert "s3://data/in" == parse_s3("s3://data/in/").url
    assert is_s3("s3://x")
    assert not is_s3("in/s3:")


@pytest.mark.parametrize("text", ["s3://", "s3://key:secret@bucket/in", "s3:///in", "s3://a b/in"])
def test_a_url_that_names_none_is_refused_without_repeating_it(text: str) -> None:
    """What somebody took for a place for passwords is not shown."""
    with pytest.raises(SettingInvalid) as refused:
        parse_s3(text)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "log in"),
        ({"AWS_ACCESS_KEY_ID": "a"}, "log in"),
        ({"AWS_SKIP_SIGNATURE": "true", "AWS_ENDPOINT_URL": "ftp://x"}, "AWS_ENDPOINT_URL"),
        ({"AWS_SKIP_SIGNATURE": "1", "AWS_ENDPOINT_URL": "http://me:pw@x"}, "without a user"),
    ],
)
def test_variables_that_make_no_sense_are_said(variables: dict[str, str], words: str) -> None:
    """Before anything is asked of a server."""
    with pytest.raises(SettingInvalid, match=words) as refused:
        S3Client("bucket", variables)

    assert "pw" not in str(refused.value)


def _check_no_secrets(error: GrangeError, bucket: Bucket) -> None:
    told = f"{error!r} {error} {error.hint}"
    hidden = (bucket.server.secret_key, bucket.server.access_key, bucket.server.url, "WRONGWRONG")
    assert not [one for one in hidden if one in told]


@contextmanager
def _answering(rest: bytes) -> Iterator[S3Access]:
    """A server that gives one answer, which goes on so after its first line."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + rest)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield S3Access(f"http://127.0.0.1:{server.server_port}", "us-east-1", "bucket")
