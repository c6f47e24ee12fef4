"""Uploads over HTTP: tus as its clients speak it, and kills of the server in between."""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Any

import httpx
import pytest

from tests.server import scene
from tests.server.scene import API, Cast, Serving

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}
DATA = os.urandom(6_000_000)
DEADLINE_SECONDS = 30.0


def begin(person: httpx.Client, size: int, **said: str) -> str:
    """Begin an upload; returns its path below /api/v1."""
    pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": ",".join(pairs)}
    answer = person.post("/uploads", headers=headers)
    assert 201 == answer.status_code, answer.text
    return answer.headers["location"].removeprefix(API)


def patch(person: httpx.Client, upload: str, data: bytes, at: int, **more: str) -> httpx.Response:
    """Send a part."""
    return person.patch(upload, content=data, headers={**PIECE, "Upload-Offset": str(at), **more})


def offset(person: httpx.Client, upload: str) -> int:
    """Ask where an upload stands."""
    return int(person.head(upload, headers=TUS).headers["upload-offset"])


def checksum(data: bytes, algorithm: str = "sha256") -> str:
    """Say the header's value for these bytes."""
    digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


def test_the_server_says_what_it_can(cast: Cast) -> None:
    """A client of tus learns the version, the extensions and the checksums."""
    headers = cast.member.options("/uploads").headers

    assert "1.0.0" == headers["tus-version"]
    wanted = {"creation", "creation-with-upload", "termination", "checksum", "expiration"}
    assert wanted == set(headers["tus-extension"].split(","))
    assert {"sha256", "sha1"} == set(headers["tus-checksum-algorithm"].split(","))


def test_a_file_goes_into_its_folder(cast: Cast) -> None:
    """In parts, with the name and path that its metadata says."""
    folder = cast.member.post("/folders", json={"name": "x"}).json()["id"]
    upload = begin(cast.member, len(DATA), filename="é 🦊.bin", folder=folder, path="in/é 🦊.bin")
    first = patch(cast.member, upload, DATA[:4_000_000], 0)
    assert (204, "4000000") == (first.status_code, first.headers["upload-offset"])
    assert "upload-expires" in first.headers
    head = cast.member.head(upload, headers=TUS).headers
    assert ("4000000", str(len(DATA))) == (head["upload-offset"], head["upload-length"])
    assert "no-store" == head["cache-control"]
    last = patch(cast.member, upload, DATA[4_000_000:], 4_000_000)

    assert (204, "1.0.0") == (last.status_code, last.headers["tus-resumable"])
    sha256 = hashlib.sha256(DATA).hexdigest()
    assert sha256 == cast.member.get(upload).json()["sha256"]
    files = cast.member.get(f"/folders/{folder}/files").json()["items"]
    assert [("in/é 🦊.bin", sha256)] == [(one["path"], one["sha256"]) for one in files]


def test_the_first_part_may_come_at_once(cast: Cast) -> None:
    """A small file takes one request; one that is refused leaves nothing behind."""
    answer = cast.member.post("/uploads", content=b"12345", headers={**PIECE, "Upload-Length": "5"})
    assert (201, "5") == (answer.status_code, answer.headers["upload-offset"])
    used = cast.member.get("/session").json()["used_bytes"]
    longer = cast.member.post(
        "/uploads", content=b"123456", headers={**PIECE, "Upload-Length": "5"}
    )

    assert 413 == longer.status_code
    assert used == cast.member.get("/session").json()["used_bytes"]


def test_a_given_up_upload_is_gone(cast: Cast) -> None:
    """Termination frees what was reserved."""
    upload = begin(cast.member, 1000)
    assert 204 == cast.member.delete(upload, headers=TUS).status_code

    assert 404 == cast.member.head(upload, headers=TUS).status_code


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "5"}, 412),
        ({"Tus-Resumable": "0.2.2", "Upload-Length": "5"}, 412),
        (TUS, 422),
        ({**TUS, "Upload-Length": "-1"}, 422),
        ({**TUS, "Upload-Length": "1" * 30}, 422),
        ({**TUS, "Upload-Length": str(1 << 45)}, 413),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "filename %%%"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "filename /w=="}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "filename YQpi"}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "a YQ==,a YQ=="}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "a " + "Y" * 17_000}, 422),
        ({**TUS, "Upload-Length": "5", "Upload-Metadata": "folder YmNkZmdoamttbg=="}, 404),
        ({**PIECE, "Upload-Length": "5", "Upload-Checksum": "md5 YQ=="}, 422),
        ({**PIECE, "Upload-Length": "5", "Upload-Checksum": "sha256 YQ=="}, 422),
    ],
)
def test_a_beginning_that_makes_no_sense_is_refused(
    cast: Cast, headers: dict[str, str], status: int
) -> None:
    """With a problem document, and nothing is begun."""
    answer = cast.member.post("/uploads", headers=headers)

    assert status == answer.status_code
    assert "application/problem+json" == answer.headers["content-type"]
    assert "1.0.0" == answer.headers.get("tus-version", "1.0.0")


def test_a_part_that_makes_no_sense_is_refused(cast: Cast) -> None:
    """Each for its own reason, and the upload stands where it stood."""
    upload = begin(cast.member, 10)
    assert 409 == patch(cast.member, upload, b"x", 1).status_code
    assert 413 == patch(cast.member, upload, b"x" * 11, 0).status_code
    wrong = patch(cast.member, upload, b"x", 0, **{"Upload-Checksum": checksum(b"y")})
    assert (460, "upload.checksum") == (wrong.status_code, wrong.json()["code"])
    plain = cast.member.patch(upload, content=b"x", headers={**TUS, "Upload-Offset": "0"})
    assert 415 == plain.status_code
    assert 412 == cast.member.patch(upload, content=b"x").status_code

    assert 0 == offset(cast.member, upload)
    right = patch(cast.member, upload, b"x", 0, **{"Upload-Checksum": checksum(b"x", "sha1")})
    assert 204 == right.status_code


def test_others_do_not_see_an_upload(cast: Cast) -> None:
    """For another member it is not there; a viewer may not send anything."""
    upload = begin(cast.member, 10)
    for answer in (
        cast.other.get(upload),
        cast.other.head(upload, headers=TUS),
        patch(cast.other, upload, b"x", 0),
        cast.other.delete(upload, headers=TUS),
    ):
        assert 404 == answer.status_code
    assert 401 == cast.nobody.head(upload, headers=TUS).status_code
    assert 403 == cast.viewer.post("/uploads", headers={**TUS, "Upload-Length": "1"}).status_code
    assert 200 == cast.admin.get(upload).status_code
    assert 0 == offset(cast.member, upload)


def test_a_cut_connection_keeps_what_came(cast: Cast, server: Serving) -> None:
    """Without an answer the client asks, and goes on from there."""
    upload = begin(cast.member, len(DATA))
    _send_half(server, cast.member, upload, DATA[:3_000_000]).close()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (at := offset(cast.member, upload)) < 3_000_000:
        assert time.monotonic() < deadline

    # The server may still be at the end of the line that was cut.
    while (done := patch(cast.member, upload, DATA[at:], at)).status_code == 409:
        assert time.monotonic() < deadline
    assert 204 == done.status_code, done.text
    assert hashlib.sha256(DATA).hexdigest() == cast.member.get(upload).json()["sha256"]


@pytest.mark.parametrize("proven", [False, True], ids=["plain", "with a checksum"])
def test_a_killed_server_goes_on_where_it_was(
    serving: Callable[..., AbstractContextManager[Serving]], *, proven: bool
) -> None:
    """Between parts and within one: the next server knows the offset, and no byte is doubled."""
    with serving() as first, closing(scene.set_up(first)) as admin:
        folder = admin.post("/folders", json={"name": "x"}).json()["id"]
        upload = begin(admin, len(DATA), filename="x", folder=folder, path="x")
        assert 204 == patch(admin, upload, DATA[:1_000_000], 0).status_code
        first.kill()
    with serving() as second, closing(scene.log_in(second.url, "ada")) as admin:
        assert 1_000_000 == offset(admin, upload)
        more = {"Upload-Checksum": checksum(DATA[1_000_000:])} if proven else {}
        line = _send_half(second, admin, upload, DATA[1_000_000:5_000_000], at=1_000_000, **more)
        file = second.home / "uploads" / upload.rpartition("/")[2]
        deadline = time.monotonic() + DEADLINE_SECONDS
        while file.stat().st_size < 3_000_000:
            assert time.monotonic() < deadline
        second.kill()
        line.close()
    with serving() as third, closing(scene.log_in(third.url, "ada")) as admin:
        at = offset(admin, upload)
        assert at == 1_000_000 if proven else 3_000_000 <= at <= 5_000_000
        done = patch(admin, upload, DATA[at:], at)

        assert 204 == done.status_code, done.text
        files = admin.get(f"/folders/{folder}/files").json()["items"]
        assert [hashlib.sha256(DATA).hexdigest()] == [one["sha256"] for one in files]
        assert (third.home / "folders" / folder / "x").read_bytes() == DATA


def _send_half(
    server: Serving, person: httpx.Client, upload: str, data: bytes, *, at: int = 0, **more: str
) -> http.client.HTTPConnection:
    """Send the beginning of a part that goes to the upload's end, and stop there."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE_SECONDS)
    line.putrequest("PATCH", f"{API}{upload}")
    cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    headers: dict[str, Any] = {**PIECE, "Upload-Offset": at, "Content-Length": len(DATA) - at}
    headers |= {"Cookie": cookies, "X-CSRF-Token": person.headers["X-CSRF-Token"], **more}
    for name, value in headers.items():
        line.putheader(name, str(value))
    line.endheaders()
    line.send(data)
    return line
