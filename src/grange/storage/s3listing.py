"""Listing a bucket with S3's own words: what general clients refuse to see is seen.

A client library that checks each key fails the whole page for one key with `..` or a
line's end in it, so that anybody who may write into a bucket could stop its reader.
Here every key comes back as it is, and whoever uses it decides.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from typing import IO
from urllib.parse import quote, unquote_plus, urlsplit
from xml.etree import ElementTree as ET

from grange.errors import StoreDenied, StoreError, StoreMissing

TIMEOUT_SECONDS = 30.0
# A page of 1000 keys of 1024 bytes, each of them written as three.
_MOST_PAGE_BYTES = 16 << 20
_UNSIGNED = "UNSIGNED-PAYLOAD"
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_KINDS: dict[int, type[StoreError]] = {401: StoreDenied, 403: StoreDenied, 404: StoreMissing}
DENIED_HINT = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may read."


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object of a bucket. `etag` changes with its bytes, `modified_ns` with each writing."""

    key: str
    size: int
    etag: str
    modified_ns: int


@dataclass(frozen=True, slots=True, repr=False)
class S3Access:
    """Where a bucket is, and with what one may read it; no text shows any of it."""

    endpoint: str
    region: str
    bucket: str
    key_id: str = ""
    secret: str = ""
    session: str = ""


def list_objects(access: S3Access, prefix: str, *, most: int = 1000) -> Iterator[S3Object]:
    """Every object whose key begins with `prefix`, page by page of at most `most`, by key.

    Raises:
        StoreDenied, StoreMissing: The server refuses, or has no such bucket.
        StoreError: It can't be reached, or says what nobody understands.
    """
    after = ""
    while True:
        query = {"encoding-type": "url", "list-type": "2", "max-keys": str(most), "prefix": prefix}
        if after:
            query["continuation-token"] = after
        page = _parsed(_ask(access, query))
        # A server that knows no such encoding gives keys as they are.
        encoded = page.findtext("EncodingType") == "url"
        for entry in page.iter("Contents"):
            yield _object(entry, encoded=encoded)
        after = page.findtext("NextContinuationToken") or ""
        if page.findtext("IsTruncated") != "true" or not after:
            return


def _ask(access: S3Access, query: Mapping[str, str]) -> bytes:
    path = f"/{quote(access.bucket, safe='')}"
    encoded = [f"{quote(name, safe='~')}={quote(query[name], safe='~')}" for name in sorted(query)]
    text = "&".join(encoded)
    base = urlsplit(access.endpoint)
    path = base.path.rstrip("/") + path
    headers = _headers(access, base.netloc, path, text)
    url = f"{base.scheme}://{base.netloc}{path}?{text}"
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # the endpoint's scheme is checked
    try:
        with _OPENER.open(request, timeout=TIMEOUT_SECONDS) as answer:
            content: bytes = answer.read(_MOST_PAGE_BYTES + 1)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(access, error.code, error.read(1 << 16)) from None
    except (OSError, http.client.HTTPException) as error:
        # Of the library's words only those that name no address.
        reason = getattr(error, "reason", error)
        words = getattr(reason, "strerror", None) or type(reason).__name__
        message = f"The S3 server of bucket {access.bucket!r} can't be reached: {words}."
        raise StoreError(message, hint="Check AWS_ENDPOINT_URL and the network.") from None
    if len(content) > _MOST_PAGE_BYTES:
        raise StoreError(f"The S3 server's list of bucket {access.bucket!r} has no end.")
    return content


def _refusal(access: S3Access, status: int, body: bytes) -> StoreError:
    kind = _KINDS.get(status, StoreError)
    found = _CODE.search(body)
    code = found[1].decode() if found else str(status)
    hint = DENIED_HINT if kind is StoreDenied else "Check the bucket's name, and AWS_REGION."
    return kind(f"The S3 server refuses to list bucket {access.bucket!r}: {code}.", hint=hint)


def _headers(access: S3Access, host: str, path: str, query: str) -> dict[str, str]:
    """The headers of a request, signed as version 4 has it; plain ones for whoever is nobody."""
    if not access.key_id:
        return {}
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {"host": host, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": now}
    if access.session:
        headers["x-amz-security-token"] = access.session
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    asked = "\n".join(["GET", path, query, *lines, "", names, _UNSIGNED])
    scope = f"{now[:8]}/{access.region}/s3/aws4_request"
    said = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(asked.encode()).hexdigest()])
    key = f"AWS4{access.secret}".encode()
    for word in (*scope.split("/"), said):
        key = hmac.digest(key, word.encode(), "sha256")
    mark = f"Credential={access.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {mark}"}


def _parsed(content: bytes) -> ET.Element:
    try:
        # Without a document type nothing expands; it would be taken for one of a web page anyway.
        plain = b"" if b"<!DOCTYPE" in content else content
        root = ET.fromstring(plain)  # noqa: S314
    except ET.ParseError:
        message = "What came back from the S3 endpoint is no list of a bucket."
        raise StoreError(message, hint="Check AWS_ENDPOINT_URL.") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _object(entry: ET.Element, *, encoded: bool) -> S3Object:
    key = entry.findtext("Key") or ""
    try:
        modified = datetime.fromisoformat(entry.findtext("LastModified") or "")
        # Not by way of a float, which has no room for nanoseconds.
        seconds = int(modified.replace(microsecond=0, tzinfo=modified.tzinfo or UTC).timestamp())
        return S3Object(
            key=unquote_plus(key, errors="surrogateescape") if encoded else key,
            size=int(entry.findtext("Size") or ""),
            etag=entry.findtext("ETag") or "",
            modified_ns=seconds * 10**9 + modified.microsecond * 1000,
        )
    except ValueError:
        message = "The S3 server lists an object without a size or a date."
        raise StoreError(message, hint="Check AWS_ENDPOINT_URL.") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows nobody elsewhere: the signature would go along."""

    def redirect_request(  # noqa: PLR0917  # the library's own
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        return


_OPENER = urllib.request.build_opener(_NoRedirects)
