"""The input of an attempt that is a file on the server, for workers that don't see it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from grange.errors import InputChanged, InputMissing, InputUnreadable, TaskError
from grange.storage import uri_path

CHUNK_BYTES = 1 << 20


class FileSource:
    """A file as it was when the run was submitted; `tag` stands for its bytes."""

    def __init__(self, path: str, uri: str, size: int, mtime_ns: int) -> None:
        """Name it; nothing is opened yet."""
        self.size = size
        self.tag = f"{size:x}-{mtime_ns:x}"
        self._path = path
        self._uri = uri
        self._mtime_ns = mtime_ns

    def open(self) -> int:
        """A descriptor of the file.

        Raises:
            InputMissing, InputUnreadable, InputChanged: As they say.
        """
        if not self._uri.startswith("file://"):
            message = f"The input {self._path!r} lies where the server does not read it."
            raise InputUnreadable(message, hint="Give the worker what its bucket is reached by.")
        name = uri_path(self._uri)
        try:
            # A pipe or device in the file's place must not keep anybody waiting.
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise self._refused(error) from error
        try:
            self._check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Stream a range in chunks; a file that changes meanwhile ends it with `InputChanged`."""
        descriptor = self.open()
        try:
            end = start + length
            while start < end:
                chunk = os.pread(descriptor, min(CHUNK_BYTES, end - start), start)
                if not chunk:
                    break
                start += len(chunk)
                if start >= end:
                    # Before the last byte is given away, which would make the answer a whole one.
                    self._check(descriptor)
                yield chunk
            if start < end:
                self._check(descriptor)
        finally:
            os.close(descriptor)

    def _check(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputUnreadable(f"The input {self._path!r} is no regular file.")
        if (status.st_size, status.st_mtime_ns) != (self.size, self._mtime_ns):
            raise InputChanged(
                f"The input {self._path!r} has changed since the run was submitted.",
                hint="Give the same command once more when this run has ended.",
            )

    def _refused(self, error: OSError) -> TaskError:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return InputMissing(f"The input {self._path!r} is not there any more.")
        return InputUnreadable(f"The input {self._path!r} can't be read: {error.strerror}.")
