"""Files over HTTP: ranges, conditions, names, and what a browser may show in place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi.responses import Response, StreamingResponse

from grange.uploads import sniff

if TYPE_CHECKING:
    from fastapi import Request

# Kinds that a browser can show without running anything that is in them.
HARMLESS = frozenset(
    {"image/png", "image/jpeg", "image/webp", "image/gif", "video/mp4", "video/webm"}
)
# Shown as what they are: letters.
LETTERS = frozenset({sniff.TEXT, "application/json", "text/xml", "text/x-script"})
PAGE = "text/html"
EMPTY = "application/x-empty"
# A page may show its own pictures and styles; it runs nothing, sends nothing, and is nobody's.
PAGE_POLICY = (
    "sandbox; default-src 'none'; img-src data: 'self'; media-src data: 'self'; "
    "style-src 'unsafe-inline'; font-src data:; frame-ancestors 'self'"
)
FILE_POLICY = "sandbox; default-src 'none'; frame-ancestors 'self'"

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_ODD = re.compile(r'[^\x20-\x7e]|["\\%;]')
_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file to be sent. `read` gives its bytes from a place on, so many of them."""

    name: str
    size: int
    etag: str
    read: Callable[[int, int], Iterator[bytes]]
    modified: float | None = None


def answer(request: Request, file: Download, *, inline: bool = False, kind: str = "") -> Response:
    """The file, the range of it that was asked for, or word that the client has it already.

    In place is shown what is harmless by its first bytes, whatever it is
    called; everything else is saved. A `kind` says what it is.
    """
    headers = _headers(file, kind or _kind(file), inline=inline)
    if _matches(request.headers.get("if-none-match"), file.etag):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    wanted = _range(request, file)
    if wanted is None:
        headers["content-length"] = str(file.size)
        return _streaming(request, file, headers, (0, file.size), HTTPStatus.OK)
    begin, end = wanted
    if begin >= end:
        headers["content-range"] = f"bytes */{file.size}"
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        return Response(status_code=status, headers=headers)
    headers["content-range"] = f"bytes {begin}-{end - 1}/{file.size}"
    headers["content-length"] = str(end - begin)
    return _streaming(request, file, headers, wanted, HTTPStatus.PARTIAL_CONTENT)


def disposition(name: str, *, inline: bool = False) -> str:
    """The header that names a file, for old readers and new, as RFC 6266 says."""
    kept = name[-_LONGEST_NAME:]
    plain = _ODD.sub("_", kept)
    how = "inline" if inline else "attachment"
    whole = quote(kept.encode("utf-8", "replace"), safe="")
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{whole}"


def _headers(file: Download, kind: str, *, inline: bool) -> dict[str, str]:
    shown = inline and (kind in HARMLESS or kind in LETTERS or kind in {PAGE, EMPTY})
    headers = {
        "etag": file.etag,
        "accept-ranges": "bytes",
        # Whoever has it may keep it, but asks each time whether they still may.
        "cache-control": "private, no-cache",
        "content-disposition": disposition(file.name, inline=shown),
        "content-type": _type_told(kind, shown=shown),
        "content-security-policy": PAGE_POLICY if kind == PAGE else FILE_POLICY,
        "x-content-type-options": "nosniff",
    }
    if shown:
        headers["x-frame-options"] = "SAMEORIGIN"
    return headers


def _type_told(kind: str, *, shown: bool) -> str:
    if kind in HARMLESS:
        return kind
    if shown:
        return "text/html; charset=utf-8" if kind == PAGE else "text/plain; charset=utf-8"
    return sniff.UNKNOWN


def _kind(file: Download) -> str:
    return sniff.kind_of(b"".join(file.read(0, min(sniff.HEAD_BYTES, file.size))))


def _matches(given: str | None, etag: str) -> bool:
    if given is None:
        return False
    tags = {one.strip().removeprefix("W/") for one in given.split(",")}
    return "*" in tags or etag in tags


def _range(request: Request, file: Download) -> tuple[int, int] | None:
    """The bytes from the first up to the second; None for all of them.

    Several ranges at once, and what is none, get the whole file, as RFC 9110 allows.
    """
    given = request.headers.get("range")
    condition = request.headers.get("if-range")
    if given is None or (condition is not None and condition != file.etag):
        return None
    found = _RANGE.fullmatch(given.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, file.size - int(found[2])), file.size if int(found[2]) else 0
    begin, end = int(found[1]), int(found[2]) + 1 if found[2] else file.size
    if found[2] and end <= begin:
        return None
    return begin, min(end, file.size)


def _streaming(
    request: Request,
    file: Download,
    headers: dict[str, str],
    wanted: tuple[int, int],
    status: HTTPStatus,
) -> Response:
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    begin, end = wanted
    return StreamingResponse(file.read(begin, end - begin), status_code=status, headers=headers)
