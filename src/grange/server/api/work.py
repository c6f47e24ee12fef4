"""Bytes for workers that share no disk with the server: inputs, outputs, parts, logs.

Each request names an attempt, and is refused with `claim.ended` when that is not
the present one, or another worker's: whoever was given up for dead can't touch what
its successor does, and nobody gets what was given to somebody else.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

from fastapi import Depends, Header, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from grange.client.schemas.basis import Page
from grange.client.schemas.work import (
    MOST_LOG_BYTES,
    MOST_TAR_BYTES,
    TAR_TYPE,
    Arrived,
    ArrivedFiles,
    Sealed,
    WantedFiles,
    WorkFile,
    WorkPart,
    digest_of,
)
from grange.errors import RequestInvalid, TooLarge
from grange.runs.handing import MOST_PARTS, Held
from grange.server import bodies, downloads
from grange.server.api.basis import IdInPath, Router
from grange.server.downloads import Download
from grange.server.heavy import Heavy, PerUser
from grange.server.stations import Working
from grange.server.visitors import Here
from grange.storage import Stored, check_path
from grange.storage.oserrors import told
from grange.uploads import archives, sniff
from grange.uploads.receiving import receive

if TYPE_CHECKING:
    from pathlib import Path as FilePlace

    from grange.runs.handing import Handing
    from grange.storage.arrivals import Arrival

router = Router(prefix="/work/{run}/{task}/{epoch}", tags=["work"])

T = TypeVar("T")

MOST_FILE_BYTES = 1 << 50
# A list of the most outputs, with paths of a usual length.
MOST_LIST_BYTES = 32 << 20
_RANGE = re.compile(r"bytes (\d{1,16})-(\d{1,16})/(\d{1,16})")
# What comes is written by these, so that it takes no turn of those who ask for pages.
_WRITING = ThreadPoolExecutor(8, thread_name_prefix="work")
# One worker's transfers at once; and lists of outputs, which take memory while they are read.
CARRYING = PerUser(64)
SEALING = Heavy(at_once=4, per_user=64)

TaskInPath = Annotated[int, Path(ge=0, le=(1 << 53))]
EpochInPath = Annotated[int, Path(ge=0, le=(1 << 31) - 1)]
FileInPath = Annotated[str, Path(min_length=1, max_length=4096)]
TokenInPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]{1,128}$")]
Stream = Literal["out", "err"]
ReprDigest = Annotated[
    str | None,
    Header(alias="Repr-Digest", max_length=200, description="The whole file's: sha-256=:…:"),
]
ContentRange = Annotated[
    str | None,
    Header(alias="Content-Range", max_length=100, description="Which piece: bytes 0-9/1000"),
]
_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string"}}}}
_SENDS_BYTES = {"requestBody": _BYTES}
_SENDS_TAR = {"requestBody": {"content": {TAR_TYPE: {"schema": {"type": "string"}}}}}
_SENDS_LIST = {
    "requestBody": {"content": {"application/json": {"schema": WantedFiles.model_json_schema()}}}
}


async def _hold(
    run: IdInPath, task: TaskInPath, epoch: EpochInPath, worker: Working, here: Here
) -> AsyncIterator[Held]:
    """The attempt that is named, if it is under way; the worker has a place until all is done."""
    with CARRYING.place(worker.id):
        yield await run_in_threadpool(here.handing.held, run, task, epoch, worker=worker.id)


Holding = Annotated[Held, Depends(_hold)]


@router.head("/input", include_in_schema=False)
@router.get(
    "/input",
    response_class=Response,
    responses={
        200: {"description": "The input.", **_BYTES},
        206: {"description": "The range.", **_BYTES},
        304: {"description": "The worker has it."},
        416: {"description": "There is no such range."},
    },
)
def fetch_input(held: Holding, here: Here, request: Request) -> Response:
    """The attempt's input; takes one range. What has changed since its submission is refused."""
    source = here.handing.source(held)
    file = Download(
        name=held.path.rpartition("/")[2],
        size=source.size,
        etag=f'"{source.tag}"',
        read=source.read,
    )
    return downloads.answer(request, file, kind=sniff.UNKNOWN)


@router.put("/outputs/{path:path}", openapi_extra=_SENDS_BYTES)
async def send_output(
    path: FileInPath,
    held: Holding,
    here: Here,
    request: Request,
    *,
    digest: ReprDigest = None,
    piece: ContentRange = None,
) -> Arrived:
    """Send an output, or with `Content-Range` a piece of it; to send either again is harmless."""
    offset, size = _piece(piece, request.headers.get("content-length"))
    sha256 = digest_of(digest)
    handing = here.handing
    arrival = await run_in_threadpool(handing.arrival, held, path, offset=offset, size=size)
    with arrival:
        await receive(request.stream(), arrival.write, _WRITING)
        stored = await run_in_threadpool(_end, handing, held, arrival, sha256)
    return Arrived(size=arrival.reached, file=_told(stored) if stored else None)


@router.put("/outputs", openapi_extra=_SENDS_TAR)
async def send_outputs(held: Holding, here: Here, request: Request) -> ArrivedFiles:
    """Send many small outputs as one .tar."""
    # Without a name, so that a server that is killed leaves nothing behind.
    home = here.settings.home
    with told("keep outputs", "", root=home), tempfile.TemporaryFile(dir=home) as archive:
        written = _Bounded(archive.fileno(), MOST_TAR_BYTES)
        await receive(request.stream(), written.write, _WRITING)
        name = f"/proc/self/fd/{archive.fileno()}"
        return await run_in_threadpool(_unpack, here.handing, held, name)


@router.post("/outputs", openapi_extra=_SENDS_LIST)
async def seal_outputs(held: Holding, worker: Working, here: Here, request: Request) -> Sealed:
    """Say which outputs the attempt has. They are durable then; or some have yet to be sent."""
    body = await _whole(request, MOST_LIST_BYTES)
    return await SEALING.do(worker.id, lambda: _seal(here.handing, held, body))


@router.get("/parts")
def list_parts(
    held: Holding,
    here: Here,
    after: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_PARTS)] = 100,
) -> Page[WorkPart]:
    """What is staged of the parts that a merge needs."""
    found = here.handing.parts(held, after=after, limit=limit)
    parts = [WorkPart(token=one.token, files=list(map(_told, one.files))) for one in found]
    return Page(items=parts, next=str(after + limit) if len(found) == limit else None)


@router.get(
    "/parts/{token}/{path:path}",
    response_class=Response,
    responses={
        200: {"description": "The file.", **_BYTES},
        206: {"description": "The range.", **_BYTES},
        304: {"description": "The worker has it."},
        416: {"description": "There is no such range."},
    },
)
def fetch_part(
    token: TokenInPath, path: FileInPath, held: Holding, here: Here, request: Request
) -> Response:
    """A file of a part that a merge needs; takes one range."""
    store, stored = here.handing.part_file(held, token, path)
    file = Download(
        name=path.rpartition("/")[2],
        size=stored.size,
        etag=f'"{stored.size:x}-{stored.mtime_ns or 0:x}"',
        read=lambda start, length: store.read(path, start=start, length=length),
    )
    return downloads.answer(request, file, kind=sniff.UNKNOWN)


@router.put("/logs/{stream}", status_code=204, openapi_extra=_SENDS_BYTES)
async def send_log(stream: Stream, held: Holding, here: Here, request: Request) -> Response:
    """Send what the attempt has written to `out` or `err`; what was sent before is replaced."""
    place = await run_in_threadpool(here.handing.log, held, stream)
    with (
        told("keep a log", "", root=place.parent),
        tempfile.NamedTemporaryFile(dir=place.parent, prefix=".log-", delete=False) as written,
    ):
        try:
            bounded = _Bounded(written.fileno(), MOST_LOG_BYTES)
            await receive(request.stream(), bounded.write, _WRITING)
            os.replace(written.name, place)
        except BaseException:
            os.unlink(written.name)
            raise
    return Response(status_code=204)


def _end(handing: Handing, held: Held, arrival: Arrival, sha256: str | None) -> Stored | None:
    """Put the file into its place, if its attempt is still under way."""
    handing.check(held)
    return arrival.end(sha256)


def _unpack(handing: Handing, held: Held, archive: str) -> ArrivedFiles:
    files = []
    place = _place(archive)
    for member in archives.members(place, left_bytes=MOST_TAR_BYTES, check=check_path):
        with handing.arrival(held, member.path, size=member.size) as arrival:
            for chunk in _chunks(member.content.read):
                arrival.write([chunk])
            stored = arrival.end()
        if stored is None:
            raise RequestInvalid(f"The archive's {member.path!r} is shorter than it says.")
        files.append(_told(stored))
    handing.check(held)
    return ArrivedFiles(files=files)


def _seal(handing: Handing, held: Held, body: bytes) -> Sealed:
    bodies.check_json(body)
    try:
        wanted = WantedFiles.model_validate_json(body)
    except ValueError as error:
        first = str(error).partition("\n")[2].partition("\n")[0]
        raise RequestInvalid(f"The list of outputs makes no sense: {first[:200]}.") from None
    missing, sealed = handing.seal(
        held, [Stored(one.path, one.size, one.sha256) for one in wanted.files]
    )
    handing.check(held)
    return Sealed(missing=missing, files=list(map(_told, sealed)))


class _Bounded:
    """Writes what comes into a file, up to a limit."""

    def __init__(self, descriptor: int, most_bytes: int) -> None:
        self._descriptor = descriptor
        self._left = most_bytes

    def write(self, chunks: Sequence[bytes]) -> None:
        for chunk in chunks:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("What is sent is larger than allowed.", hint="Send it in pieces.")
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]


async def _whole(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most_bytes:
            raise TooLarge(f"The list is larger than {most_bytes >> 20} MiB.")
    return bytes(body)


def _piece(header: str | None, length: str | None) -> tuple[int, int | None]:
    """Where the piece begins, and how large the whole file is, where the request says it."""
    if header is None:
        size = int(length[:20]) if length is not None and length.isdecimal() else None
        return 0, _checked(size)
    found = _RANGE.fullmatch(header)
    first, last, size = map(int, found.groups()) if found else (1, 0, 0)
    if not first <= last < size:
        raise RequestInvalid(
            "Content-Range says nothing that makes sense.", hint="It looks like bytes 0-9/1000."
        )
    return first, _checked(size)


def _checked(size: int | None) -> int | None:
    if size is not None and size > MOST_FILE_BYTES:
        raise TooLarge(f"An output may have {MOST_FILE_BYTES >> 40} TiB.")
    return size


def _chunks(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while chunk := read(1 << 18):
        yield chunk


def _place(name: str) -> FilePlace:
    from pathlib import Path as Place

    return Place(name)


def _told(stored: Stored) -> WorkFile:
    return WorkFile(
        path=stored.path,
        size=stored.size,
        mtime_ns=stored.mtime_ns or 0,
        sha256=stored.sha256,
    )
