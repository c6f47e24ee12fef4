"""Single signed requests in S3's own words, for what general clients can't say.

A client library that checks each key refuses a whole page of a list for one odd key, and
keeps to itself under which number a large file is being uploaded.
"""

from __future__ import annotations

import atexit
import hashlib
import hmac
import http.client
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from grange.errors import StoreDenied, StoreError, StoreFull, StoreMissing, StoreUnreachable
from grange.storage.s3lines import Lines

TIMEOUT_SECONDS = 30.0
# After so much silence a server is away for whoever can't wait: a person in front of a page.
SHORT_SECONDS = 5.0
# A page of 1000 keys of 1024 bytes, each of them written as three.
_MOST_ANSWER_BYTES = 16 << 20
_UNSIGNED = "UNSIGNED-PAYLOAD"
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_KINDS: dict[int, type[StoreError]] = {
    401: StoreDenied,
    403: StoreDenied,
    404: StoreMissing,
    507: StoreFull,
}
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "StorageFull"})
_PASSING = frozenset({429, 500, 502, 503, 504})
DENIED_HINT = "Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may read and write."
_FIRST_REST_SECONDS = 0.1
_LONGEST_REST_SECONDS = 5.0


@dataclass(frozen=True, slots=True, repr=False)
class S3Access:
    """Where a bucket is, and with what one may use it; no text shows any of it.

    A server that is away, or asks for patience, is tried again for `patience_seconds`.
    """

    endpoint: str
    region: str
    bucket: str
    key_id: str = ""
    secret: str = ""
    session: str = ""
    patience_seconds: float = 0.0
    timeout_seconds: float = TIMEOUT_SECONDS  # of silence, after which a server is away


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: headers, and a body of bounded size."""

    headers: Message
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request: to the bucket itself, or to the object `key` in it.

    `action` says it in words, as in `list`, for whoever has to read why it was refused.
    """

    action: str
    method: str = "GET"
    key: str = ""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes | None = None


def ask(access: S3Access, question: Question) -> Answer:
    """Send one request, again while patience lasts; it has to be one that may be repeated.

    Raises:
        StoreDenied, StoreMissing, StoreFull: The server refuses, has no such bucket or
            object, or has no room.
        StoreUnreachable: It can't be reached.
        StoreError: It refuses for another reason.
    """
    until = time.monotonic() + access.patience_seconds
    rest = _FIRST_REST_SECONDS
    while True:
        try:
            return _ask_once(access, question)
        except StoreUnreachable:
            if time.monotonic() + rest > until:
                raise
        time.sleep(rest * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
        rest = min(2 * rest, _LONGEST_REST_SECONDS)


def parsed(content: bytes) -> ET.Element:
    """An answer's body, its elements without namespaces.

    Raises:
        StoreError: It is no XML.
    """
    try:
        # Without a document type nothing expands; it would be taken for one of a web page anyway.
        plain = b"" if b"<!DOCTYPE" in content else content
        root = ET.fromstring(plain)  # noqa: S314
    except ET.ParseError:
        message = "What came back from the S3 endpoint is no answer of an S3 server."
        raise StoreError(message, hint="Check AWS_ENDPOINT_URL.") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def is_full(words: str) -> bool:
    """Whether a server's refusal says that there is no room."""
    return any(code in words for code in _FULL)


def _ask_once(access: S3Access, question: Question) -> Answer:
    base = urlsplit(access.endpoint)
    path = f"{base.path.rstrip('/')}/{quote(access.bucket, safe='')}"
    if question.key:
        path += f"/{quote(question.key, safe='/', errors='surrogateescape')}"
    query = question.query
    text = "&".join(f"{quote(one, safe='')}={quote(query[one], safe='')}" for one in sorted(query))
    headers = _headers(access, base.netloc, f"{question.method}\n{path}", text)
    headers |= {"content-type": "application/octet-stream", **question.headers}
    try:
        reply = _LINES.send(
            f"{base.scheme}://{base.netloc}{path}" + (f"?{text}" if text else ""),
            method=question.method,
            headers=headers,
            body=question.body,
            timeout_seconds=access.timeout_seconds,
            most_bytes=_MOST_ANSWER_BYTES,
        )
    except (OSError, http.client.HTTPException) as error:
        # Of the library's words only those that name no address.
        words = getattr(error, "strerror", None) or type(error).__name__
        message = f"The S3 server of bucket {access.bucket!r} can't be reached: {words}."
        raise StoreUnreachable(message, hint="Check AWS_ENDPOINT_URL and the network.") from None
    # Nobody is followed elsewhere: the signature would go along.
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(access, question, reply.status, reply.body)
    if not reply.is_whole:
        raise StoreError(f"The S3 server's answer about bucket {access.bucket!r} has no end.")
    return Answer(reply.headers, reply.body)


def _refusal(access: S3Access, question: Question, status: int, body: bytes) -> StoreError:
    found = _CODE.search(body)
    code = found[1].decode() if found else str(status)
    what = f"{question.action} {question.key!r} in" if question.key else question.action
    if status in _PASSING:
        message = f"The S3 server of bucket {access.bucket!r} is in trouble: {code}."
        return StoreUnreachable(message, hint="Try again later.")
    kind = StoreFull if is_full(code) else _KINDS.get(status, StoreError)
    hints = {
        StoreDenied: DENIED_HINT,
        StoreFull: "Raise the quota, or delete what nobody needs, then resume.",
    }
    hint = hints.get(kind, "Check the bucket's name, and AWS_REGION.")
    return kind(f"The S3 server refuses to {what} bucket {access.bucket!r}: {code}.", hint=hint)


def _headers(access: S3Access, host: str, asked: str, query: str) -> dict[str, str]:
    """The headers of a request, signed as version 4 has it; plain ones for whoever is nobody."""
    if not access.key_id:
        return {}
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    headers = {"host": host, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": now}
    if access.session:
        headers["x-amz-security-token"] = access.session
    names = ";".join(headers)
    lines = [f"{name}:{value}" for name, value in headers.items()]
    text = "\n".join([asked, query, *lines, "", names, _UNSIGNED])
    scope = f"{now[:8]}/{access.region}/s3/aws4_request"
    said = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(text.encode()).hexdigest()])
    key = f"AWS4{access.secret}".encode()
    for word in (*scope.split("/"), said):
        key = hmac.digest(key, word.encode(), "sha256")
    mark = f"Credential={access.key_id}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {mark}"}


_LINES = Lines()
atexit.register(_LINES.close)
