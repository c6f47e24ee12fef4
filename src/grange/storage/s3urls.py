"""How things in buckets are named, and what stands for the state that one is in.

Everything here is pure: no server is asked.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from urllib.parse import quote_from_bytes, unquote_to_bytes

from grange.errors import SettingInvalid, StorePathRefused
from grange.storage.paths import check_path

_SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_SECOND_NS = 10**9
# What no client library takes in a key, and so is written as % and two digits in a store's keys.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LIKE_ESCAPE = re.compile(r"%(?=(?:25)*(?:[01][0-9A-F]|7F))")
_ESCAPE = re.compile(r"%25(?=(?:25)*(?:[01][0-9A-F]|7F))|%([01][0-9A-F]|7F)")


@dataclass(frozen=True, slots=True)
class S3Place:
    """A folder of a bucket: `prefix` is empty, or ends with a slash."""

    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """The URL that names it."""
        return f"{_SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object of a bucket. `etag` changes with its bytes, `modified_ns` with each writing."""

    key: str
    size: int
    etag: str
    modified_ns: int

    @property
    def stamp_ns(self) -> int:
        """Stands for the object's state as a file's modification time does.

        Servers give dates by the second. The rest of it says which bytes these are, so that
        an object that was replaced within a second is another one.
        """
        return self.modified_ns // _SECOND_NS * _SECOND_NS + _which(self.etag)

    def is_as_stamped(self, size: int, stamp_ns: int) -> bool:
        """Whether these are the bytes that a stamp was made of, whenever they were written."""
        if size != self.size:
            return False
        if self.etag:
            return stamp_ns % _SECOND_NS == _which(self.etag)
        return stamp_ns == self.stamp_ns


def is_s3(text: str) -> bool:
    """Whether this names a bucket and no file."""
    return text[: len(_SCHEME)].lower() == _SCHEME


def parse_s3(text: str) -> S3Place:
    """The place of a URL such as `s3://bucket/folder`.

    Raises:
        SettingInvalid: It is none.
    """
    bucket, _, prefix = text[len(_SCHEME) :].partition("/")
    if not is_s3(text) or not _BUCKET.fullmatch(bucket):
        # What stands before an @ may be a password: not to be repeated.
        raise SettingInvalid("An S3 URL has to look like s3://bucket/folder, nothing else in it.")
    prefix = prefix.strip("/")
    return S3Place(bucket, f"{prefix}/" if prefix else "")


def object_uri(bucket: str, key: str) -> str:
    """The URI of an object, exact for every key that it can have."""
    return f"{_SCHEME}{bucket}/{quote_from_bytes(os.fsencode(key))}"


def uri_object(uri: str) -> tuple[str, str]:
    """The bucket and the key that `object_uri` was given."""
    bucket, separator, key = uri[len(_SCHEME) :].partition("/")
    if not is_s3(uri) or not separator or not _BUCKET.fullmatch(bucket) or not key:
        raise StorePathRefused("This is not the URI of an object in a bucket.")
    return bucket, os.fsdecode(unquote_to_bytes(key))


def key_of(path: str) -> str:
    """The key that stands for a store path: itself, but for control characters."""
    if path.isprintable() and "%" not in path:
        return path
    text = _LIKE_ESCAPE.sub("%25", path)
    return _CONTROL.sub(lambda found: f"%{ord(found[0]):02X}", text)


def is_plain(key: str) -> bool:
    """Whether client libraries take this key."""
    try:
        return key_of(check_path(key)) == key
    except StorePathRefused:
        return False


def path_of(key: str) -> str | None:
    """The store path that a key stands for; None when it stands for none."""
    path = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "%", key)
    return path if key_of(path) == key else None


def _which(etag: str) -> int:
    # In quotes, as most servers write it everywhere.
    text = f'"{etag.strip(chr(34))}"' if etag else ""
    digest = blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _SECOND_NS
