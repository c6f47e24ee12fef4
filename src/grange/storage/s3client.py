"""Reading a bucket of an S3 server: what it holds, and one object into one file.

Endpoint and credentials come from the usual variables of the environment, and go
nowhere else: no message, no URL and no record of ours has them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from grange.errors import ExtraMissing, SettingInvalid, StoreDenied, StoreError, StoreMissing
from grange.storage.oserrors import told
from grange.storage.s3listing import DENIED_HINT, S3Access, S3Object, list_objects

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import S3Store

__all__ = ["S3Client", "S3Object", "S3Place", "is_s3", "parse_s3"]

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_CHUNK_BYTES = 8 << 20
# What is broken for longer is said, and tried again by whoever asked.
_RETRIES = 3
_CONNECT_TIMEOUT = "10s"
_READ_TIMEOUT = "60s"
# Of one whole object: a video of many hours over a slow line.
_TIMEOUT = "86400s"


@dataclass(frozen=True, slots=True)
class S3Place:
    """A folder of a bucket: `prefix` is empty, or ends with a slash."""

    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """The URL that names it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def is_s3(text: str) -> bool:
    """Whether this names a bucket and no file."""
    return text.lower().startswith("s3://")


def parse_s3(text: str) -> S3Place:
    """The place of a URL such as `s3://bucket/folder`.

    Raises:
        SettingInvalid: It is none.
    """
    bucket, _, prefix = text[len("s3://") :].partition("/")
    if not is_s3(text) or not _BUCKET.fullmatch(bucket):
        # What stands before an @ may be a password: not to be repeated.
        raise SettingInvalid("An S3 URL has to look like s3://bucket/folder, nothing else in it.")
    prefix = prefix.strip("/")
    return S3Place(bucket, f"{prefix}/" if prefix else "")


class S3Client:
    """Reads one bucket. Safe to use from several threads at once."""

    def __init__(self, bucket: str, environment: Mapping[str, str] | None = None) -> None:
        """Nothing is asked of the server yet.

        Raises:
            ExtraMissing: The extra `s3` is not installed.
            SettingInvalid: A variable makes no sense.
        """
        environment = os.environ if environment is None else environment
        self._access = _access(bucket, environment)
        self._store = _store(self._access)

    def list(self, prefix: str = "") -> Iterator[S3Object]:
        """Every object whose key begins so, by key, asked for in pages.

        Raises:
            StoreDenied, StoreMissing, StoreError: As `s3listing.list_objects` says.
        """
        return list_objects(self._access, prefix)

    def check(self, prefix: str = "") -> None:
        """Make sure that the bucket can be read: look for one object.

        Raises:
            StoreDenied, StoreMissing, StoreError: It can't.
        """
        next(list_objects(self._access, prefix, most=1), None)

    def fetch(self, wanted: S3Object, target: Path) -> None:
        """Stream exactly this object into a file, whole or not at all.

        Raises:
            StoreMissing: It is gone, or is another one by now.
            StoreFull: There is no room on this machine.
            StoreDenied, StoreError: The server refuses, or can't be reached.
        """
        # Its own name may be as long as a name can be.
        partial = target.with_name(f".{blake2b(os.fsencode(target.name)).hexdigest()[:32]}.part")
        with told("fetch", target.name, root=target.parent):
            try:
                with partial.open("wb") as file:
                    _check_size(wanted, self._stream(wanted, file.write))
                partial.replace(target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise

    def _stream(self, wanted: S3Object, write: Callable[[bytes], object]) -> int:
        import obstore
        from obstore.exceptions import (
            BaseError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        size = 0
        options: GetOptions = {"if_match": wanted.etag} if wanted.etag else {}
        try:
            got = obstore.get(self._store, wanted.key, options=options)
            for chunk in got.stream(min_chunk_size=_CHUNK_BYTES):
                size += len(chunk)
                write(chunk)
        except (FileNotFoundError, PreconditionError):
            message = f"{wanted.key!r} is gone, or was replaced, since it was listed."
            raise StoreMissing(message) from None
        except (PermissionDeniedError, UnauthenticatedError):
            message = f"The S3 server refuses to give {wanted.key!r}."
            raise StoreDenied(message, hint=DENIED_HINT) from None
        except (BaseError, ValueError) as error:
            # The library's words hold addresses.
            message = f"{wanted.key!r} can't be fetched: {type(error).__name__}."
            raise StoreError(message, hint="Check the network, and AWS_ENDPOINT_URL.") from None
        return size


def _check_size(wanted: S3Object, size: int) -> None:
    if size != wanted.size:
        message = f"{wanted.key!r} came with {size} bytes in place of {wanted.size}."
        raise StoreError(message, hint="The connection broke; try again.")


def _access(bucket: str, environment: Mapping[str, str]) -> S3Access:
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise SettingInvalid("AWS_ENDPOINT_URL has to be a URL of http or https, without a user.")
    nobody = environment.get("AWS_SKIP_SIGNATURE", "").lower() in {"1", "true", "yes", "on"}
    key_id = environment.get("AWS_ACCESS_KEY_ID", "")
    secret = environment.get("AWS_SECRET_ACCESS_KEY", "")
    if not nobody and not (key_id and secret):
        message = "There is nothing to log in to the S3 server with."
        hint = (
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a bucket that anybody may read, "
            "AWS_SKIP_SIGNATURE=true."
        )
        raise SettingInvalid(message, hint=hint)
    if nobody:
        return S3Access(endpoint, region, bucket)
    session = environment.get("AWS_SESSION_TOKEN", "")
    return S3Access(endpoint, region, bucket, key_id, secret, session)


def _store(access: S3Access) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError as error:
        message = "Buckets need the extra s3, which is not installed."
        raise ExtraMissing(message, hint="Install it: pip install 'grange[s3]'") from error
    from datetime import timedelta

    login = (
        {"access_key_id": access.key_id, "secret_access_key": access.secret}
        | ({"session_token": access.session} if access.session else {})
        if access.key_id
        else {"skip_signature": True}
    )
    return S3Store(
        access.bucket,
        endpoint=access.endpoint,
        region=access.region,
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": access.endpoint.startswith("http:"),
            "timeout": _TIMEOUT,
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": _READ_TIMEOUT,
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=60)},
        **login,
    )
