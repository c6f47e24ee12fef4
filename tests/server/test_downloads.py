"""Files over HTTP: ranges, conditions, names, and what is shown in place."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from grange.server import downloads, zipping
from grange.server.downloads import Download
from tests import aside

BODY = bytes(range(256)) * 4
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


class Client:
    """Asks an app in this very process."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, url: str, method: str = "GET", **options: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as asking:
                return await asking.request(method, url, **options)

        return aside.run(ask())

    def head(self, url: str) -> httpx.Response:
        return self.get(url, "HEAD")


def client(content: bytes = BODY, name: str = "a.bin") -> Client:
    """Give a client of an app that serves one file."""
    app = FastAPI()
    file = Download(
        name=name,
        size=len(content),
        etag='"tag"',
        read=lambda start, length: iter([content[start : start + length]]),
    )

    @app.get("/")
    @app.head("/")
    def show(request: Request, *, inline: bool = False) -> Response:
        return downloads.answer(request, file, inline=inline)

    return Client(app)


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-5000", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-5000", 0, 1024),
    ],
)
def test_a_range_is_that_part(asked: str, begin: int, end: int) -> None:
    """One range is given as RFC 9110 says, clipped to the file."""
    answer = client().get("/", headers={"Range": asked})

    assert (206, BODY[begin:end]) == (answer.status_code, answer.content)
    assert f"bytes {begin}-{end - 1}/1024" == answer.headers["content-range"]
    assert str(end - begin) == answer.headers["content-length"]


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_outside_is_refused(asked: str) -> None:
    """What begins behind the end can't be given; the answer says how long the file is."""
    answer = client().get("/", headers={"Range": asked})

    assert (416, "bytes */1024") == (answer.status_code, answer.headers["content-range"])


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-1,5-6", "bytes=5-1", "bytes=-", "items=0-1", "bytes=a-b", "bytes=" + "9" * 50],
)
def test_several_ranges_or_none_get_the_whole(asked: str) -> None:
    """What is no single range is passed over: the whole file is a right answer too."""
    answer = client().get("/", headers={"Range": asked})

    assert (200, BODY) == (answer.status_code, answer.content)


def test_conditions_are_kept() -> None:
    """A known file is not sent again; a changed one is sent whole instead of a part."""
    app = client()

    assert 304 == app.get("/", headers={"If-None-Match": 'W/"x", "tag"'}).status_code
    assert 200 == app.get("/", headers={"If-None-Match": '"x"'}).status_code
    same = app.get("/", headers={"Range": "bytes=0-9", "If-Range": '"tag"'})
    other = app.get("/", headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    assert [206, 200] == [same.status_code, other.status_code]
    head = app.head("/")
    assert ("1024", b"") == (head.headers["content-length"], head.content)


@pytest.mark.parametrize(
    ("content", "kind", "shown"),
    [
        (PNG, "image/png", True),
        (b"GIF89a...", "image/gif", True),
        (b"plain words\n", "text/plain; charset=utf-8", True),
        (b'{"a": 1}', "text/plain; charset=utf-8", True),
        (b"<!DOCTYPE html><script>alert(1)</script>", "text/html; charset=utf-8", True),
        (b"<svg onload=alert(1)>", "application/octet-stream", False),
        (b"%PDF-1.7", "application/octet-stream", False),
        (b"\x7fELF\x00", "application/octet-stream", False),
        (b"\x00\x01", "application/octet-stream", False),
    ],
)
def test_only_what_is_harmless_is_shown_in_place(content: bytes, kind: str, shown: bool) -> None:
    """The first bytes decide, never the name; a page is shown without any right."""
    app = client(content, "photo.png")
    inline = app.get("/?inline=true")

    assert kind == inline.headers["content-type"]
    assert shown == inline.headers["content-disposition"].startswith("inline")
    assert inline.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "script" not in inline.headers["content-security-policy"]
    assert "nosniff" == inline.headers["x-content-type-options"]
    saved = app.get("/")
    assert saved.headers["content-disposition"].startswith("attachment")
    assert saved.headers["content-type"] in {"application/octet-stream", "image/png", "image/gif"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt"),
        ('a"\r\nX-Evil: 1', "filename*=UTF-8''a%22%0D%0AX-Evil%3A%201"),
        ("Füchse 🦊.csv", "filename*=UTF-8''F%C3%BCchse%20%F0%9F%A6%8A.csv"),
        ("a\\b;c%41", 'filename="a_b_c_41"'),
    ],
)
def test_names_inject_nothing(name: str, expected: str) -> None:
    """Whatever a file is called, the header stays one line, and the name comes back."""
    told = downloads.disposition(name)

    assert expected in told
    assert told.isascii()
    assert told.isprintable()


def test_an_archive_is_whole() -> None:
    """What is streamed opens, with each file's bytes, name and time."""
    entries = {"a.txt": b"one", "Füchse/🦊.txt": b"", "deep/er/b": b"x" * 100_000}
    made = b"".join(
        zipping.stream((name, 1_763_715_600 * 10**9, [text]) for name, text in entries.items())
    )

    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert entries == {name: archive.read(name) for name in archive.namelist()}
        assert {(2025, 11, 21, 9, 0, 0)} == {one.date_time for one in archive.infolist()}
    with zipfile.ZipFile(io.BytesIO(b"".join(zipping.stream([])))) as empty:
        assert [] == empty.namelist()


def test_an_archive_of_very_many_files_needs_little_memory() -> None:
    """A hundred thousand files cost some bytes each, and nothing of their contents."""

    def entries() -> Iterator[tuple[str, int, list[bytes]]]:
        for number in range(100_000):
            yield f"day {number // 1000}/{number}/out.txt", 0, [b"some text"]

    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in zipping.stream(entries()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size > 100_000 * 100
    assert peak < 40 << 20
