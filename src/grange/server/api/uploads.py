"""Uploads in pieces, by tus 1.0.0 with all extensions but concatenation and deferred lengths."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.concurrency import run_in_threadpool

from grange.accounts.models import Actor
from grange.client.schemas import files as schemas
from grange.errors import TooLarge
from grange.server import tus
from grange.server.api.basis import IdInPath
from grange.server.documents import API
from grange.server.heavy import SENDING
from grange.server.visitors import Here, Submitter, Visitor

if TYPE_CHECKING:
    from grange.uploads.models import Upload

router = APIRouter(prefix="/uploads", tags=["uploads"], route_class=tus.TusRoute)

_PIECE = {
    "requestBody": {"content": {tus.PIECE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}


async def _sending(submitter: Submitter) -> AsyncIterator[Actor]:
    """Whoever sends, who has a place for that until all has come."""
    with SENDING.place(submitter.user.id):
        yield submitter


Sender = Annotated[Actor, Depends(_sending)]
Length = Annotated[
    int,
    Header(alias="Upload-Length", ge=0, le=tus.MOST_UPLOAD_BYTES, description="How many bytes."),
]
Offset = Annotated[
    int,
    Header(
        alias="Upload-Offset",
        ge=0,
        le=tus.MOST_UPLOAD_BYTES,
        description="Where the part begins: where the upload stands.",
    ),
]
Checksum = Annotated[
    str | None,
    Header(alias="Upload-Checksum", max_length=200, description="sha256 or sha1, and base64."),
]
MetadataHeader = Annotated[
    str | None,
    Header(
        alias="Upload-Metadata",
        max_length=tus.MOST_METADATA_CHARACTERS,
        description="filename; folder and path: where the finished file goes.",
    ),
]


@router.options("", status_code=204)
def show_upload_abilities(_visitor: Visitor) -> Response:
    """What this server can do with uploads, as headers."""
    return Response(status_code=204, headers=tus.capabilities())


@router.post("", status_code=201, openapi_extra=_PIECE)
async def begin_upload(
    request: Request,
    submitter: Sender,
    here: Here,
    _tus: tus.Resumable,
    *,
    length: Length,
    described: MetadataHeader = None,
    checksum: Checksum = None,
) -> Response:
    """Begin an upload; a body of the type of parts is its first part."""
    proof = tus.proof(checksum)
    said = tus.metadata(described)
    uploads = here.uploads

    def begin() -> Upload:
        return uploads.begin(
            submitter, size=length, name=said.name, folder=said.folder, path=said.path
        )

    upload = await run_in_threadpool(begin)
    if tus.is_piece(request.headers) and not upload.is_whole:
        try:
            _check_length(request, upload, 0)
            upload = await uploads.receive(submitter, upload.id, 0, request.stream(), proof)
        except BaseException:
            # Without an answer the client never learns its address.
            await run_in_threadpool(uploads.drop, submitter, upload.id)
            raise
    place = {"Location": f"{API}/uploads/{upload.id}"}
    return Response(status_code=201, headers=place | tus.standing(upload))


@router.head("/{upload}")
def show_upload_offset(
    upload: IdInPath, visitor: Visitor, here: Here, _tus: tus.Resumable
) -> Response:
    """How an upload stands, as headers."""
    found = here.uploads.find(visitor, upload)
    return Response(headers=tus.standing(found) | tus.description(found))


@router.get("/{upload}")
def show_upload(upload: IdInPath, visitor: Visitor, here: Here) -> schemas.Upload:
    """How an upload stands; `sha256` is there once it is whole."""
    return schemas.Upload.model_validate(here.uploads.find(visitor, upload))


@router.patch("/{upload}", status_code=204, openapi_extra=_PIECE)
async def send_part(
    upload: IdInPath,
    request: Request,
    submitter: Sender,
    here: Here,
    _tus: tus.Resumable,
    *,
    offset: Offset,
    checksum: Checksum = None,
) -> Response:
    """Send a part. What comes is kept, even if the connection breaks before its end."""
    tus.check_piece(request.headers)
    proof = tus.proof(checksum)
    found = await run_in_threadpool(here.uploads.find, submitter, upload)
    _check_length(request, found, offset)
    stream = request.stream()
    found = await here.uploads.receive(submitter, upload, offset, stream, proof)
    return Response(status_code=204, headers=tus.standing(found))


@router.delete("/{upload}", status_code=204)
def drop_upload(
    upload: IdInPath, submitter: Submitter, here: Here, _tus: tus.Resumable
) -> Response:
    """Give up an upload; what it has put into a folder stays there."""
    here.uploads.drop(submitter, upload)
    return Response(status_code=204)


def _check_length(request: Request, upload: Upload, offset: int) -> None:
    """Refuse a part that says by itself that it is too long, before a byte of it is taken."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and offset + int(length[:20]) > upload.size:
        raise TooLarge(
            f"A part of {int(length[:20])} bytes at {offset} goes past the end of the upload, "
            f"which has {upload.size}.",
            hint="Send the file that was announced, or begin another upload.",
        )
