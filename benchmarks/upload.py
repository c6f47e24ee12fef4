"""Taking in a large file: an upload to `grange serve`, beside a bare copy by the same framework."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request

from benchmarks.measure import ROOT, Result, Row, Target, in_child, in_turn
from benchmarks.site import API, end, make_site, serving

SIZE = 2 << 30
QUICK_SIZE = 32 << 20
REPETITIONS = 5
LIMIT = 0.6
PIECE_BYTES = 1 << 20
MEGABYTE = 1_000_000

OURS = "an upload to grange serve"
FLUSHED = "a bare copy, flushed to the disk"
BARE = "a bare copy, left to the page cache"


def measure(*, quick: bool = False) -> Result:
    """Send the same bytes to each in turn."""
    size, repetitions = (QUICK_SIZE, 1) if quick else (SIZE, REPETITIONS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        site = make_site(Path(folder, "home"), runs_number=0)
        ours = opened.enter_context(serving(site)).port
        bare = opened.enter_context(_serving_bare(Path(folder, "copy")))
        found = in_turn(
            {
                OURS: partial(in_child, "upload", "send", ours, size, site.tokens["ada"]),
                FLUSHED: partial(in_child, "upload", "copy", bare, size, "/flushed"),
                BARE: partial(in_child, "upload", "copy", bare, size, "/copied"),
            },
            repetitions=repetitions,
        )
    result = Result(
        "upload",
        "Taking in a large file",
        f"One file of {size / 2**30:g} GiB in one request over one connection of this machine. "
        "`grange serve` hashes it, flushes it to the disk, and makes a read-only content of it "
        "(a PATCH of tus). The bare copy is a FastAPI endpoint of three lines that writes "
        "`request.stream()` to a file, under the same uvicorn, loop and parser; once it flushes "
        "the file before it answers, as anybody must who promises to have it, and once not.",
        [
            Row(what, "MB/s", [size / MEGABYTE / seconds for seconds in times])
            for what, times in found.items()
        ],
    )
    ratio = result.median(OURS) / result.median(FLUSHED)
    result.targets.append(Target("times the bare copy that is on the disk too", ratio, LIMIT))
    return result


@contextmanager
def _serving_bare(target: Path) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.upload", "bare", str(target)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        end(process)


def serve_bare(target: Path) -> None:
    """Serve the bare copy; prints the port."""
    app = FastAPI()

    async def copy(request: Request, *, flush: bool) -> None:
        with target.open("wb") as file:
            async for piece in request.stream():
                file.write(piece)
            if flush:
                file.flush()
                os.fsync(file.fileno())

    @app.patch("/flushed")
    async def flushed(request: Request) -> None:
        await copy(request, flush=True)

    @app.patch("/copied")
    async def copied(request: Request) -> None:
        await copy(request, flush=False)

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


def send(port: int, size: int, token: str) -> float:
    """How long an upload takes; it is deleted afterwards."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    common = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    connection.request("POST", f"{API}/uploads", headers={**common, "Upload-Length": str(size)})
    place = _answer(connection, HTTPStatus.CREATED).headers["Location"]
    seconds = _timed(connection, place, size, {**common, "Upload-Offset": "0"})
    connection.request("DELETE", place, headers=common)
    _answer(connection, HTTPStatus.NO_CONTENT)
    return seconds


def copy_bare(port: int, size: int, path: str) -> float:
    """How long a bare copy takes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    return _timed(connection, path, size, {})


def _timed(
    connection: http.client.HTTPConnection, path: str, size: int, headers: dict[str, str]
) -> float:
    piece = os.urandom(PIECE_BYTES)
    # What the runs before have left to be written must not be waited for in this one.
    os.sync()
    begun = time.perf_counter()
    connection.putrequest("PATCH", path)
    headers |= {"Content-Length": str(size), "Content-Type": "application/offset+octet-stream"}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    for _ in range(size // PIECE_BYTES):
        connection.send(piece)
    _answer(connection, HTTPStatus.NO_CONTENT, HTTPStatus.OK)
    return time.perf_counter() - begun


def _answer(
    connection: http.client.HTTPConnection, *expected: HTTPStatus
) -> http.client.HTTPResponse:
    answer = connection.getresponse()
    text = answer.read()
    if answer.status not in expected:
        raise RuntimeError(f"{answer.status} {text[:500]!r}")
    return answer


def main(what: str, *words: str) -> None:
    """Serve the bare copy, or send one file and print how many seconds it took."""
    if what == "bare":
        serve_bare(Path(words[0]))
        return
    port, size, third = words
    print(json.dumps((send if what == "send" else copy_bare)(int(port), int(size), third)))


if __name__ == "__main__":
    main(*sys.argv[1:])
