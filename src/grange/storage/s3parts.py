"""Large objects, written part by part under a number that is known, so that none is left half.

A bucket keeps the parts of an upload that nobody has ended, unseen and paid for, until
somebody calls it off.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import quote
from xml.sax.saxutils import escape

from grange.errors import StoreError, StoreMissing
from grange.storage.s3listing import time_ns
from grange.storage.s3requests import Question, S3Access, ask, parsed

# The least that servers take as a part that is not the last one is 5 MiB.
PART_BYTES = 16 << 20
_MOST_PARTS = 10_000
# An upload that is older is nobody's any more.
ABANDONED_SECONDS = 86_400.0
_CHECK = "Try again; if it stays so, look into the server's log."


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An upload that was begun, and not ended."""

    key: str
    upload: str


def part_bytes(size: int) -> int:
    """How large the parts of an object of this size are: no more of them than servers take."""
    return max(PART_BYTES, -(-size // (_MOST_PARTS - 1)))


def write_parts(access: S3Access, key: str, pieces: Iterable[bytes]) -> None:
    """Write an object out of pieces, each of which becomes a part; whole or not at all.

    Raises:
        StoreError: As `ask` says. What the pieces raise passes.
    """
    parts = (
        Question(action="write", method="PUT", key=key, query={}, headers={}, body=one)
        for one in pieces
    )
    _upload(access, key, parts)


def copy_parts(access: S3Access, source: str, target: str, size: int) -> None:
    """Copy an object that is too large to be copied at once, within the bucket."""
    place = quote(f"{access.bucket}/{source}", safe="/", errors="surrogateescape")
    step = max(part_bytes(size), 1 << 30)
    ranges = ((at, min(at + step, size) - 1) for at in range(0, size, step))
    _upload(
        access,
        target,
        (
            Question(
                action="copy",
                method="PUT",
                key=target,
                query={},
                headers={
                    "x-amz-copy-source": place,
                    "x-amz-copy-source-range": f"bytes={first}-{last}",
                },
            )
            for first, last in ranges
        ),
    )


def call_off(access: S3Access, key: str, upload: str) -> None:
    """Remove the parts of an upload. One that is not there is fine."""
    question = Question(
        action="tidy up", method="DELETE", key=key, query={"uploadId": upload}, headers={}
    )
    with suppress(StoreMissing):
        ask(access, question)


def abandoned(access: S3Access, prefix: str) -> Iterator[Abandoned]:
    """Uploads below `prefix` that were begun long ago, and never ended."""
    now_ns = time.time_ns()
    where = {"uploads": "", "prefix": prefix}
    while True:
        page = parsed(ask(access, Question(action="list", query=where, headers={})).body)
        for entry in page.iter("Upload"):
            try:
                begun = time_ns(entry.findtext("Initiated") or "")
            except ValueError:
                continue
            if now_ns - begun > ABANDONED_SECONDS * 1e9:
                yield Abandoned(entry.findtext("Key") or "", entry.findtext("UploadId") or "")
        if page.findtext("IsTruncated") != "true":
            return
        marker = page.findtext("NextKeyMarker") or ""
        where |= {
            "key-marker": marker,
            "upload-id-marker": page.findtext("NextUploadIdMarker") or "",
        }
        if not marker:
            return


def _upload(access: S3Access, key: str, parts: Iterable[Question]) -> None:
    begin = Question(
        action="write", method="POST", key=key, query={"uploads": ""}, headers={}, body=b""
    )
    upload = parsed(ask(access, begin).body).findtext("UploadId") or ""
    if not upload:
        raise StoreError(f"The S3 server takes no large object as {key!r}.", hint=_CHECK)
    try:
        tags = [_put(access, part, number, upload) for number, part in enumerate(parts, 1)]
        _complete(access, key, upload, tags)
    except BaseException:
        # A server that is away keeps the parts until `abandoned` finds them.
        with suppress(StoreError):
            call_off(access, key, upload)
        raise


def _put(access: S3Access, part: Question, number: int, upload: str) -> str:
    query = {"partNumber": str(number), "uploadId": upload}
    answer = ask(access, replace(part, query=query))
    tag: str = answer.headers.get("ETag", "")
    if part.body is None:
        # What is copied has its tag in the body, which may also say that it went wrong half-way.
        tag = parsed(answer.body).findtext("ETag") or ""
    if not tag:
        raise StoreError(f"A part of {part.key!r} did not arrive.", hint=_CHECK)
    return tag


def _complete(access: S3Access, key: str, upload: str, tags: list[str]) -> None:
    entries = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(tag)}</ETag></Part>"
        for number, tag in enumerate(tags, 1)
    )
    text = f"<CompleteMultipartUpload>{entries}</CompleteMultipartUpload>"
    end = Question(
        action="write",
        method="POST",
        key=key,
        query={"uploadId": upload},
        headers={"content-type": "application/xml"},
        body=text.encode(),
    )
    answer = parsed(ask(access, end).body)
    # The answer begins before the server is done, and may end in an error.
    if answer.tag != "CompleteMultipartUploadResult":
        code = answer.findtext("Code") or answer.tag
        raise StoreError(f"The S3 server could not put {key!r} together: {code}.", hint=_CHECK)
