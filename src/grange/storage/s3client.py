"""Reading a bucket of an S3 server: what it holds, and one object into one file.

Endpoint and credentials come from the usual variables of the environment, and go
nowhere else: no message, no URL and no record of ours has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from urllib.parse import urlsplit

from grange.errors import SettingInvalid, StoreError, StoreMissing
from grange.storage.oserrors import told
from grange.storage.s3keys import variables
from grange.storage.s3listing import list_objects
from grange.storage.s3objects import Objects, check_extra
from grange.storage.s3requests import SHORT_SECONDS, TIMEOUT_SECONDS, S3Access
from grange.storage.s3urls import S3Object, S3Place, is_s3, parse_s3

__all__ = ["S3Client", "S3Object", "S3Place", "is_s3", "parse_s3", "s3_access"]


class S3Client:
    """Reads one bucket. Safe to use from several threads at once."""

    def __init__(
        self,
        bucket: str,
        environment: Mapping[str, str] | None = None,
        *,
        patience_seconds: float = 0.0,
        is_short: bool = False,
    ) -> None:
        """Nothing is asked of the server yet; one that is away is waited for with patience.

        When `is_short`, a server that says nothing is away after seconds.

        Raises:
            ExtraMissing: The extra `s3` is not installed.
            SettingInvalid: A variable makes no sense.
        """
        self._access = s3_access(
            bucket,
            environment,
            patience_seconds=patience_seconds,
            timeout_seconds=SHORT_SECONDS if is_short else TIMEOUT_SECONDS,
        )
        check_extra()
        self._objects = Objects(self._access)

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

    def find(self, key: str) -> S3Object | None:
        """The object of exactly this key, if there is one.

        Raises:
            StoreDenied, StoreMissing, StoreError: The bucket can't be read.
        """
        first = next(list_objects(self._access, key, most=1), None)
        return first if first is not None and first.key == key else None

    def open(self, key: str) -> tuple[S3Object, Iterator[bytes]]:
        """What is there under the key by now, and its bytes.

        Raises:
            StoreMissing: Nothing is there.
            StoreDenied, StoreError: The server refuses, or can't be reached.
        """
        return self._objects.open(key)

    def look(self, key: str) -> S3Object | None:
        """What is there under the key by now, if there is anything.

        Raises:
            StoreDenied, StoreError: The server refuses, or can't be reached.
        """
        return self._objects.head(key)

    def read(self, found: S3Object, start: int, end: int) -> Iterator[bytes]:
        """The bytes of an object as it was looked at, from `start` up to `end`.

        Raises:
            StoreMissing: It is gone, or is another one by now.
            StoreDenied, StoreError: The server refuses, or can't be reached.
        """
        return self._objects.read(found, start, end)

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
                found, chunks = self.open(wanted.key)
                _check(wanted, found)
                with partial.open("wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                partial.replace(target)
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise


def s3_access(
    bucket: str,
    environment: Mapping[str, str] | None = None,
    *,
    patience_seconds: float = 0.0,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> S3Access:
    """How the environment says that a bucket is reached.

    Raises:
        SettingInvalid: A variable is missing, or makes no sense.
    """
    given = variables() if environment is None else environment
    region = given.get("AWS_REGION") or given.get("AWS_DEFAULT_REGION") or "us-east-1"
    endpoint = given.get("AWS_ENDPOINT_URL_S3") or given.get("AWS_ENDPOINT_URL")
    endpoint = (endpoint or f"https://s3.{region}.amazonaws.com").rstrip("/")
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise SettingInvalid("AWS_ENDPOINT_URL has to be a URL of http or https, without a user.")
    nobody = given.get("AWS_SKIP_SIGNATURE", "").lower() in {"1", "true", "yes", "on"}
    key_id = "" if nobody else given.get("AWS_ACCESS_KEY_ID", "")
    secret = "" if nobody else given.get("AWS_SECRET_ACCESS_KEY", "")
    if not nobody and not (key_id and secret):
        message = "There is nothing to log in to the S3 server with."
        hint = (
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a bucket that anybody may read, "
            "AWS_SKIP_SIGNATURE=true."
        )
        raise SettingInvalid(message, hint=hint)
    session = "" if nobody else given.get("AWS_SESSION_TOKEN", "")
    return S3Access(
        *(endpoint, region, bucket, key_id, secret, session),
        patience_seconds=patience_seconds,
        timeout_seconds=timeout_seconds,
    )


def _check(wanted: S3Object, found: S3Object) -> None:
    if wanted.etag and wanted.etag != found.etag:
        message = f"{wanted.key!r} is gone, or was replaced, since it was listed."
        raise StoreMissing(message)
    if wanted.size != found.size:
        message = f"{wanted.key!r} came with {found.size} bytes in place of {wanted.size}."
        raise StoreError(message, hint="The connection broke; try again.")
