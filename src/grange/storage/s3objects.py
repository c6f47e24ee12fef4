"""The objects of one bucket: read, written, copied and deleted whole, by obstore."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from grange.errors import (
    ExtraMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreMissing,
    StorePathRefused,
    StoreUnreachable,
)
from grange.storage.s3requests import (
    DENIED_HINT,
    TIMEOUT_SECONDS,
    Question,
    S3Access,
    ask,
    is_full,
)
from grange.storage.s3urls import S3Object, is_plain

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import S3Store

# Streams come in pieces of about this size.
CHUNK_BYTES = 1 << 20
# Larger ones can't be copied in one request.
MOST_COPIED_BYTES = 5 << 30
# What is broken for longer is said, and tried again by whoever asked.
_RETRIES = 3
_PATIENT_RETRIES = 30
_RETRY_SECONDS = 60.0
_CONNECT_TIMEOUT = "10s"
_READ_TIMEOUT = "60s"
# Of one whole object: a video of many hours over a slow line.
_TIMEOUT = "86400s"
_REST_SECONDS = 0.5
_HINT = "Check the network, and AWS_ENDPOINT_URL."


class Objects:
    """Safe to use from several threads at once. Keys have to be ones that `key_of` gives."""

    def __init__(self, access: S3Access) -> None:
        """Nothing is asked of the server yet."""
        self._access = access

    def head(self, key: str) -> S3Object | None:
        """What is there under the key, if there is anything."""
        import obstore

        try:
            with _told("look at", key):
                return _object(key, obstore.head(self._store, key))
        except StoreMissing:
            return None

    def open(self, key: str) -> tuple[S3Object, Iterator[bytes]]:
        """What is there under the key, and its bytes as they were then.

        Raises:
            StoreMissing: Nothing is there.
        """
        import obstore

        with _told("read", key):
            got = obstore.get(self._store, key)
            found = _object(key, got.meta)
        return found, self._stream(found, 0, found.size, iter(got.stream(CHUNK_BYTES)))

    def read(self, found: S3Object, start: int, end: int) -> Iterator[bytes]:
        """The bytes of an object as it was looked at, from `start` up to `end`.

        Raises:
            StoreMissing: It is gone, or is another one by now.
        """
        return self._stream(found, start, end, None)

    def put(self, key: str, content: bytes) -> None:
        """Write an object in one request."""
        import obstore

        with _told("write", key):
            obstore.put(self._store, key, content, use_multipart=False)

    def copy(self, source: str, target: str) -> None:
        """Copy an object of bearable size within the bucket."""
        import obstore

        with _told("copy", source):
            obstore.copy(self._store, source, target)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, of whatever keys; those that are not there are fine."""
        import obstore

        plain = [key for key in keys if is_plain(key)]
        if plain:
            try:
                with _told("delete", plain[0]):
                    obstore.delete(self._store, plain)
            except StoreMissing:
                # A server that says so has deleted none of the others.
                for key in plain if len(plain) > 1 else ():
                    self.delete([key])
        for key in keys:
            if not is_plain(key):
                request = Question(action="delete", method="DELETE", key=key, query={}, headers={})
                ask(self._access, request)

    def _stream(
        self, found: S3Object, at: int, end: int, stream: Iterator[bytes] | None
    ) -> Iterator[bytes]:
        """Go on behind what has come where the connection breaks, as long as that helps."""
        until = time.monotonic() + self._access.patience_seconds
        while at < end:
            try:
                with _told("read", found.key):
                    for chunk in stream or self._range(found, at, end):
                        at += len(chunk)
                        until = time.monotonic() + self._access.patience_seconds
                        yield from _bounded(bytes(chunk))
                _check_end(found.key, at, end)
            except StoreUnreachable:
                if time.monotonic() > until:
                    raise
                stream = None
                time.sleep(_REST_SECONDS)

    def _range(self, found: S3Object, start: int, end: int) -> Iterator[bytes]:
        import obstore

        options: GetOptions = {"range": (start, end)}
        if found.etag:
            options["if_match"] = found.etag
        return iter(obstore.get(self._store, found.key, options=options).stream(CHUNK_BYTES))

    @property
    def _store(self) -> S3Store:
        return _client(self._access)


@lru_cache(maxsize=32)
def _client(access: S3Access) -> S3Store:
    """The library's client: one for all, so that its connections are used again."""
    patience = access.patience_seconds
    is_short = access.timeout_seconds < TIMEOUT_SECONDS
    login = (
        {"access_key_id": access.key_id, "secret_access_key": access.secret}
        | ({"session_token": access.session} if access.session else {})
        if access.key_id
        else {"skip_signature": True}
    )
    return _extra()(
        access.bucket,
        endpoint=access.endpoint,
        region=access.region,
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": access.endpoint.startswith("http:"),
            "timeout": _TIMEOUT,
            "connect_timeout": _CONNECT_TIMEOUT,
            "read_timeout": f"{access.timeout_seconds:.0f}s" if is_short else _READ_TIMEOUT,
        },
        retry_config={
            "max_retries": 0 if is_short else _PATIENT_RETRIES if patience else _RETRIES,
            "retry_timeout": timedelta(seconds=patience or _RETRY_SECONDS),
        },
        **login,
    )


def _bounded(chunk: bytes) -> Iterator[bytes]:
    for begin in range(0, len(chunk), CHUNK_BYTES):
        yield chunk[begin : begin + CHUNK_BYTES]


def _check_end(key: str, at: int, end: int) -> None:
    if at < end:
        raise StoreUnreachable(f"{key!r} broke off after {at} bytes.", hint=_HINT)
    if at > end:
        raise StoreError(f"{key!r} came with more bytes than it has.", hint=_HINT)


def check_extra() -> None:
    """Make sure that buckets can be used here.

    Raises:
        ExtraMissing: The extra `s3` is not installed.
    """
    _extra()


def _extra() -> type[S3Store]:
    try:
        from obstore.store import S3Store
    except ImportError as error:
        message = "Buckets need the extra s3, which is not installed."
        raise ExtraMissing(message, hint="Install it: pip install 'grange[s3]'") from error
    return S3Store


@contextmanager
def _told(action: str, key: str) -> Iterator[None]:
    """Turn the library's errors into those that say what was tried; its words hold addresses."""
    from obstore.exceptions import (
        BaseError,
        InvalidPathError,
        PermissionDeniedError,
        PreconditionError,
        UnauthenticatedError,
    )

    try:
        yield
    except (FileNotFoundError, PreconditionError):
        message = f"{key!r} is gone, or was replaced, since it was listed."
        raise StoreMissing(message) from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        if is_full(str(error)):
            message = f"The S3 server has no room for {key!r}."
            hint = "Raise the quota, or delete what nobody needs, then resume."
            raise StoreFull(message, hint=hint) from None
        message = f"The S3 server refuses to {action} {key!r}."
        raise StoreDenied(message, hint=DENIED_HINT) from None
    except (InvalidPathError, ValueError, TypeError):
        raise StorePathRefused(f"{key!r} is no key that can be used.") from None
    except BaseError as error:
        message = f"Can't {action} {key!r} in the bucket: {type(error).__name__}."
        raise StoreUnreachable(message, hint=_HINT) from None


def _object(key: str, meta: ObjectMeta) -> S3Object:
    seconds = int(meta["last_modified"].timestamp())
    return S3Object(key, meta["size"], meta["e_tag"] or "", seconds * 10**9)
