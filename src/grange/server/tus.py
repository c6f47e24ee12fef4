"""tus 1.0.0, the protocol of uploads that can be resumed: its headers, in and out.

What an upload is, the uploads domain knows; nothing here does.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.exceptions import HTTPException
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from grange.errors import ChecksumWrong, GrangeError, RequestInvalid
from grange.server import refusals
from grange.server.problems import http_status
from grange.uploads.arrivals import CHECKSUMS, Proof
from grange.uploads.models import Upload

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,checksum,termination"
MOST_UPLOAD_BYTES = 1 << 50
PIECE_TYPE = "application/offset+octet-stream"
CHECKSUM_MISMATCH = 460  # tus has a status of its own for it

MOST_METADATA_CHARACTERS = 16_384
MOST_METADATA = 32
LONGEST_NAME = 255


class TusRoute(APIRoute):
    """A route whose every answer says which tus it speaks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Tell refusals here, where they get the header and the status that tus has for them."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                response = await handle(request)
            except ClientDisconnect:
                # Nobody is there to read this.
                response = Response(status_code=HTTPStatus.BAD_REQUEST)
            except ChecksumWrong as error:
                response = refusals.refusal(error, status=CHECKSUM_MISMATCH)
            except GrangeError as error:
                if http_status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise
                response = refusals.refusal(error)
            response.headers["Tus-Resumable"] = VERSION
            return response

        return told


async def _check_version(
    tus_resumable: Annotated[
        str | None, Header(alias="Tus-Resumable", description="1.0.0, the only version spoken.")
    ] = None,
) -> None:
    if tus_resumable != VERSION:
        raise HTTPException(
            HTTPStatus.PRECONDITION_FAILED,
            f"It has to say Tus-Resumable: {VERSION}",
            headers={"Tus-Version": VERSION, "Tus-Resumable": VERSION},
        )


# What each request of tus must say; asked after who is asking.
Resumable = Annotated[None, Depends(_check_version)]


@dataclass(frozen=True)
class Metadata:
    """What a client says of an upload."""

    name: str = ""
    folder: str | None = None
    path: str | None = None


def metadata(header: str | None) -> Metadata:
    """What `Upload-Metadata` says: `filename`, `folder` and `path`; other keys are passed over.

    Raises:
        RequestInvalid: It is too long, or none.
    """
    values = _values(header or "")
    name = values.get("filename", "")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise _bad_metadata("filename is too long, or holds control characters")
    folder = values.get("folder")
    if folder is not None and not folder:
        raise _bad_metadata("folder is empty")
    return Metadata(name, folder, values.get("path"))


def proof(header: str | None) -> Proof | None:
    """What `Upload-Checksum` says that the part has to be.

    Raises:
        RequestInvalid: It is of no known kind, or none.
    """
    if header is None:
        return None
    algorithm, _, encoded = header.strip().partition(" ")
    try:
        return Proof(algorithm.lower(), base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise RequestInvalid(
            "Upload-Checksum is no algorithm and base64.",
            hint=f"Send one of {', '.join(CHECKSUMS)}, a space, and the digest in base64.",
        ) from None


def capabilities() -> dict[str, str]:
    """The headers that say what this server can do."""
    return {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(MOST_UPLOAD_BYTES),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }


def standing(upload: Upload) -> dict[str, str]:
    """The headers that say how an upload stands."""
    headers = {"Upload-Offset": str(upload.offset)}
    if not upload.is_whole:
        expires = max(upload.expires_at, time.time())
        headers["Upload-Expires"] = formatdate(expires, usegmt=True)
    return headers


def description(upload: Upload) -> dict[str, str]:
    """The headers that say what an upload is."""
    said = {"filename": upload.name, "folder": upload.folder, "path": upload.path}
    encoded = ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items() if value
    )
    headers = {"Upload-Length": str(upload.size), "Cache-Control": "no-store"}
    return headers | ({"Upload-Metadata": encoded} if encoded else {})


def is_piece(headers: Mapping[str, str]) -> bool:
    """Whether the body is a part of an upload."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == PIECE_TYPE


def check_piece(headers: Mapping[str, str]) -> None:
    """Let a request pass whose body is a part of an upload."""
    if not is_piece(headers):
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Its body has to be {PIECE_TYPE}")


def _values(header: str) -> dict[str, str]:
    if len(header) > MOST_METADATA_CHARACTERS or header.count(",") >= MOST_METADATA:
        raise _bad_metadata("it is too long")
    values: dict[str, str] = {}
    for pair in filter(None, map(str.strip, header.split(","))):
        key, _, encoded = pair.partition(" ")
        if key in values:
            raise _bad_metadata(f"{key[:LONGEST_NAME]!r} stands there twice")
        try:
            values[key] = base64.b64decode(encoded.strip(), validate=True).decode()
        except ValueError:
            raise _bad_metadata(f"{key[:LONGEST_NAME]!r} is no UTF-8 in base64") from None
    return values


def _bad_metadata(reason: str) -> RequestInvalid:
    return RequestInvalid(
        f"Upload-Metadata can't be taken: {reason}.",
        hint="Send pairs of a key and a value in base64, with commas between.",
    )
