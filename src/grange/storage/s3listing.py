"""Listing a bucket with S3's own words: what general clients refuse to see is seen.

Here every key comes back as it is, and whoever uses it decides; one odd key hides no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from grange.errors import StoreError
from grange.storage.s3requests import DENIED_HINT, Question, S3Access, ask, parsed
from grange.storage.s3urls import S3Object

__all__ = ["DENIED_HINT", "S3Access", "S3Object", "list_objects"]


def list_objects(
    access: S3Access, prefix: str, *, most: int = 1000, after: str = ""
) -> Iterator[S3Object]:
    """Every object whose key begins with `prefix`, page by page of at most `most`, by key.

    Only keys behind `after` are given, if there is one.

    Raises:
        StoreDenied, StoreMissing: The server refuses, or has no such bucket.
        StoreError: It can't be reached, or says what nobody understands.
    """
    token = ""
    while True:
        query = {"encoding-type": "url", "list-type": "2", "max-keys": str(most), "prefix": prefix}
        if token:
            query["continuation-token"] = token
        elif after:
            query["start-after"] = after
        page = parsed(ask(access, Question(action="list", query=query, headers={})).body)
        # A server that knows no such encoding gives keys as they are.
        encoded = page.findtext("EncodingType") == "url"
        for entry in page.iter("Contents"):
            yield _object(entry, encoded=encoded)
        token = page.findtext("NextContinuationToken") or ""
        if page.findtext("IsTruncated") != "true" or not token:
            return


def time_ns(text: str) -> int:
    """A date as S3 writes it in its lists.

    Raises:
        ValueError: It is none.
    """
    modified = datetime.fromisoformat(text)
    # Not by way of a float, which has no room for nanoseconds.
    seconds = int(modified.replace(microsecond=0, tzinfo=modified.tzinfo or UTC).timestamp())
    return seconds * 10**9 + modified.microsecond * 1000


def _object(entry: ET.Element, *, encoded: bool) -> S3Object:
    key = entry.findtext("Key") or ""
    try:
        return S3Object(
            key=unquote_plus(key, errors="surrogateescape") if encoded else key,
            size=int(entry.findtext("Size") or ""),
            etag=entry.findtext("ETag") or "",
            modified_ns=time_ns(entry.findtext("LastModified") or ""),
        )
    except ValueError:
        message = "The S3 server lists an object without a size or a date."
        raise StoreError(message, hint="Check AWS_ENDPOINT_URL.") from None
