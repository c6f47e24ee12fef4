"""What a store in a bucket promises beyond the contract, and where a bucket differs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from grange.errors import (
    StoreCorrupt,
    StoreDenied,
    StoreError,
    StoreMissing,
    StorePathRefused,
    StoreUnreachable,
)
from grange.storage import Store, Stored, open_store, s3, s3parts, seal
from grange.storage.s3listing import S3Access, list_objects
from grange.storage.s3urls import S3Object, key_of, object_uri, path_of, uri_object
from tests.buckets import Bucket

KILLED = Path(__file__).with_name("killed_s3.py")
LARGE_BYTES = s3parts.PART_BYTES * 2 + 12_345
NAMES = ["a", "%", "%0A", "%250A", "a\nb", "%\n%25", "%2525%7F", "100%", "\x7f\x01", "%0a", "ü%1F"]


def _open(bucket: Bucket, folder: Path) -> Store:
    """Open the store, as a machine of its own would."""
    return open_store(f"{bucket.url}/store", work=folder)


def _stage(store: Store, token: str, files: dict[str, bytes]) -> list[Stored]:
    folder = store.staging(token)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return seal(folder)


def _content(store: Store, base: str = "") -> dict[str, bytes]:
    return {one.path: b"".join(store.read(one.path)) for one in store.list(base)}


def _uploads(bucket: Bucket) -> bytes:
    return bucket.server.ask("GET", f"/{bucket.name}", query="uploads=")


@pytest.mark.parametrize("path", ["../../secret", "/etc/passwd", "a/../../b", ""])
def test_an_output_can_t_lead_out_of_what_was_staged(tmp_path: Path, path: str) -> None:
    """Another machine names its outputs: none of these is read here, or written there."""
    store = open_store("s3://bucket/out", work=tmp_path / "work")
    (tmp_path / "secret").write_bytes(b"secret")

    with pytest.raises(StorePathRefused):
        store.publish("run-1-1", "item", expect=[Stored(path, 6)])


@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_a_name_that_every_client_takes(name: str) -> None:
    """No two names have one key, and every key tells its name."""
    key = key_of(name)

    assert key.isprintable()
    assert name == path_of(key)
    assert len(NAMES) == len({key_of(one) for one in NAMES})


@pytest.mark.parametrize("key", ["in/a b.mp4", "ü#?%20", "line\nbreak", "\udcff"])
def test_a_uri_names_its_object_exactly(key: str) -> None:
    """In plain ASCII, whatever the key is."""
    uri = object_uri("bucket", key)

    assert uri.isascii()
    assert ("bucket", key) == uri_object(uri)


def test_a_stamp_tells_one_state_of_an_object_from_another() -> None:
    """By its bytes, and not by when it was written; servers give that by the second."""
    one = S3Object("a", 3, '"one"', 1_700_000_000_000_000_000)

    assert one.is_as_stamped(3, one.stamp_ns)
    assert S3Object("a", 3, "one", one.modified_ns + 10**9).is_as_stamped(3, one.stamp_ns)
    assert not S3Object("a", 3, '"two"', one.modified_ns).is_as_stamped(3, one.stamp_ns)
    assert not S3Object("a", 4, '"one"', one.modified_ns).is_as_stamped(3, one.stamp_ns)


@pytest.mark.s3
def test_a_large_file_travels_in_parts(bucket: Bucket, tmp_path: Path) -> None:
    """It comes back byte for byte, written, published and copied; nothing is left of the parts."""
    store = _open(bucket, tmp_path)
    content = os.urandom(LARGE_BYTES)

    store.write("written", (content[at : at + 99_999] for at in range(0, LARGE_BYTES, 99_999)))
    sealed = _stage(store, "1-1", {"large": content, "small": b"x"})
    store.publish("1-1", "item", expect=sealed)

    assert {"item/large": content, "item/small": b"x", "written": content} == _content(store)
    s3parts.copy_parts(_access(bucket), "store/written", "store/copied", LARGE_BYTES)
    assert content == b"".join(store.read("copied"))
    assert b"<Upload>" not in _uploads(bucket)


@pytest.mark.s3
def test_an_upload_that_fails_is_called_off(bucket: Bucket, tmp_path: Path) -> None:
    """What has changed since it was sealed is not published, and leaves no parts."""
    store = _open(bucket, tmp_path)
    sealed = _stage(store, "1-1", {"large": bytes(LARGE_BYTES)})
    with (store.staging("1-1") / "large").open("r+b") as file:
        file.write(b"!")

    with pytest.raises(StoreCorrupt, match="changed"):
        store.hand_in("1-1", sealed)

    assert {} == _content(store)
    assert b"<Upload>" not in _uploads(bucket)
    assert ["1-1"] == list(store.staged())


@pytest.mark.s3
def test_an_upload_of_a_killed_program_is_called_off_later(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while it may be under way; and no reader ever sees it."""
    store = _open(bucket, tmp_path)
    bucket.server.ask("POST", f"/{bucket.name}/store/large", query="uploads=")

    store.clean()
    assert b"<Upload>" in _uploads(bucket)
    monkeypatch.setattr(s3parts, "ABANDONED_SECONDS", -5.0)
    store.clean()

    assert b"<Upload>" not in _uploads(bucket)
    assert {} == _content(store)


@pytest.mark.s3
def test_what_was_handed_in_is_published_by_another_machine(bucket: Bucket, tmp_path: Path) -> None:
    """It is found, brought, published or discarded there, with nothing of it here."""
    here, there = _open(bucket, tmp_path / "here"), _open(bucket, tmp_path / "there")
    files = {"one": b"1", "sub/two": b"22", "line\nbreak": b"3"}
    for token in ("1-1", "1-2", "1-3"):
        here.hand_in(token, _stage(here, token, files))
    sealed = [Stored(path, len(content)) for path, content in files.items()]

    assert [] == list((tmp_path / "here").rglob("two"))
    assert {"1-1", "1-2", "1-3"} == set(there.staged())
    brought = there.staged_here("1-2")
    assert files == {one.path: (brought / one.path).read_bytes() for one in seal(brought)}
    there.publish("1-1", "item", expect=sealed)
    there.publish("1-1", "item", expect=sealed)
    for token in ("1-2", "1-3"):
        there.discard(token)

    assert {f"item/{path}": content for path, content in files.items()} == _content(there)
    assert [] == list(here.staged()) == list(there.staged())


@pytest.mark.s3
def test_half_of_what_was_staged_is_not_published(bucket: Bucket, tmp_path: Path) -> None:
    """Nor is anything else under its token."""
    here, there = _open(bucket, tmp_path / "here"), _open(bucket, tmp_path / "there")
    sealed = _stage(here, "1-1", {"one": b"1", "two": b"2"})
    here.hand_in("1-1", sealed)
    bucket.remove("store/.grange/staging/1-1/two")

    with pytest.raises(StoreMissing, match="1-1"):
        there.publish("1-1", "item", expect=sealed)

    assert {} == _content(there)


@pytest.mark.s3
def test_a_folder_that_somebody_touched_is_not_taken_for_what_was_published(
    bucket: Bucket, tmp_path: Path
) -> None:
    """An object that was written over is another one, though name and size are the same."""
    store = _open(bucket, tmp_path)
    sealed = _stage(store, "1-1", {"one": b"1", "two": b"2"})
    assert not store.has_published("item")
    store.publish("1-1", "item", expect=sealed)
    assert store.has_published("item")
    assert store.published("item", sealed)

    bucket.put("store/item/one", b"!")

    assert not store.published("item", sealed)


@pytest.mark.s3
def test_publishing_is_whole_after_a_kill_anywhere(bucket: Bucket, tmp_path: Path) -> None:
    """Killed at each step: what is there is not taken for whole, and doing it again makes it so."""
    store = _open(bucket, tmp_path)
    old, new = {"same": b"old", "old": b"o"}, {"same": b"new", "new": b"n"}
    killed = 0
    while True:
        before = _stage(store, "0", old)
        store.publish("0", "item", expect=before)
        sealed = _stage(store, "1", new)
        told = json.dumps([[one.path, one.size, one.sha256, one.mtime_ns] for one in sealed])
        command = [sys.executable, str(KILLED), store.url, str(tmp_path), str(killed), told]
        ended = subprocess.run(command, check=False).returncode
        whole = {f"item/{name}": content for name, content in new.items()}
        if store.published("item", sealed):
            assert whole == _content(store)
        elif store.published("item", before):
            assert {f"item/{name}": content for name, content in old.items()} == _content(store)

        store.publish("1", "item", expect=sealed)

        assert store.published("item", sealed)
        assert whole == _content(store)
        assert [] == list(store.staged())
        if ended == 0:
            break
        assert -signal.SIGKILL == ended
        killed += 1
    assert killed >= 5


@pytest.mark.s3
@pytest.mark.parametrize(
    ("variables", "url", "kind"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "WRONG"}, "", StoreDenied),
        ({"AWS_ACCESS_KEY_ID": ""}, "", StoreDenied),
        ({}, "s3://no-such-bucket/store", StoreMissing),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "", StoreUnreachable),
    ],
)
def test_a_bucket_that_can_not_be_used_is_a_store_error(  # noqa: PLR0917  # fixtures
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    url: str,
    kind: type[StoreError],
) -> None:
    """Of its kind, for each operation, in words without keys and addresses."""
    monkeypatch.setattr(s3, "PATIENCE_SECONDS", 0.0)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    store = open_store(url or f"{bucket.url}/store", work=tmp_path)
    for attempt in (
        lambda: store.write("a", [b"x"]),
        lambda: list(store.list()),
        lambda: store.discard("1-1"),
        lambda: list(store.read("a")),
    ):
        with pytest.raises(StoreError) as refused:
            attempt()
        text = f"{refused.value} {refused.value.hint}"
        secrets = (bucket.server.secret_key, bucket.server.access_key, bucket.server.url, "WRONG")
        assert not [one for one in secrets if one in text]
    with pytest.raises(kind):
        list(store.list())


@pytest.mark.s3
def test_names_that_no_key_can_hold_are_refused(bucket: Bucket, tmp_path: Path) -> None:
    """Before anything is asked."""
    store = _open(bucket, tmp_path)
    for path in ("/".join(["x" * 200] * 6), ".grange/staging/1-1/a"):
        with pytest.raises(StorePathRefused):
            store.write(path, [b"x"])


@pytest.mark.s3
def test_what_others_put_there_under_odd_keys_is_left_alone(bucket: Bucket, tmp_path: Path) -> None:
    """It is neither listed nor in the way, and stays."""
    store = _open(bucket, tmp_path)
    for key in ("store/a//b", "store/../c", "store/line\nbreak", "store/folder/"):
        bucket.put(key, b"x")
    store.write("a/file", [b"1"])

    assert {"a/file": b"1"} == _content(store)
    store.delete_tree("a")
    assert {} == _content(store)


def test_a_long_list_is_read_in_flat_memory() -> None:
    """A hundred thousand objects pass by; no more than a page of them is held.

    A simulated server lists them: to put so many into a real one would take minutes.
    """
    import tracemalloc

    number = 100_000
    with _listing(number) as access:
        tracemalloc.start()
        try:
            found = sum(1 for _ in list_objects(access, ""))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert number == found
    assert peak < 20 << 20


class _listing:  # noqa: N801  # a function, but for its end
    """A simulated server that does nothing but list so many objects, a thousand at a time."""

    def __init__(self, number: int) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = self.path.partition("continuation-token=")[2]
                begin = int(query.partition("&")[0] or 0)
                end = min(begin + 1000, number)
                entries = "".join(
                    f"<Contents><Key>in/{at:09}.mp4</Key><Size>7</Size><ETag>&quot;{at}&quot;"
                    "</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
                    for at in range(begin, end)
                )
                more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{end}"
                more = f"{more}</NextContinuationToken>" if end < number else ""
                page = f"<ListBucketResult>{entries}{more}</ListBucketResult>".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Answer)

    def __enter__(self) -> S3Access:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return S3Access(f"http://127.0.0.1:{self._server.server_port}", "us-east-1", "bucket")

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _access(bucket: Bucket) -> S3Access:
    server = bucket.server
    return S3Access(server.url, "us-east-1", bucket.name, server.access_key, server.secret_key)
