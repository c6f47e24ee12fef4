"""The input of an attempt that lies in a bucket, for workers that have no keys of it."""

from __future__ import annotations

from collections.abc import Iterator

from grange.errors import (
    ExtraMissing,
    InputChanged,
    InputMissing,
    InputUnreadable,
    SettingInvalid,
    StoreDenied,
    StoreMissing,
)
from grange.storage.s3client import S3Client
from grange.storage.s3urls import S3Object, uri_object


class BucketSource:
    """An object as it was when the run was submitted; `tag` stands for its bytes."""

    def __init__(self, path: str, uri: str, size: int, mtime_ns: int) -> None:
        """Name it; nothing is asked yet. That its bucket is away will be said within seconds.

        Raises:
            InputUnreadable: The server has no keys.
        """
        self.size = size
        self.tag = f"{size:x}-{mtime_ns:x}"
        self._path = path
        self._mtime_ns = mtime_ns
        bucket, self._key = uri_object(uri)
        try:
            self._client = S3Client(bucket, is_short=True)
        except (SettingInvalid, ExtraMissing) as error:
            message = f"The input {path!r}: the server can't use buckets. {error.message}"
            raise InputUnreadable(message, hint=error.hint) from None

    def find(self) -> S3Object:
        """The object, which was found unchanged just now.

        Raises:
            InputMissing, InputUnreadable, InputChanged: As they say.
            StoreUnreachable: The bucket is away.
        """
        try:
            found = self._client.look(self._key)
        except StoreDenied as error:
            message = f"The input {self._path!r}: {error.message}"
            raise InputUnreadable(message, hint=error.hint) from None
        if found is None:
            raise InputMissing(f"The input {self._path!r} is not there any more.")
        if not found.is_as_stamped(self.size, self._mtime_ns):
            raise InputChanged(
                f"The input {self._path!r} has changed since the run was submitted.",
                hint="Give the same command once more when this run has ended.",
            )
        return found

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Stream a range in chunks, of the very bytes that were found."""
        try:
            yield from self._client.read(self.find(), start, start + length)
        except StoreMissing:
            raise InputMissing(f"The input {self._path!r} is not there any more.") from None
