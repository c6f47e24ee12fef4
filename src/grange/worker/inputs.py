"""An attempt's input: that it is there and unchanged, and its digest, taken beside the work."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

from grange.core.tasks import Task
from grange.errors import InputChanged, InputMissing, InputUnreadable, TaskError
from grange.storage import uri_path

# Files below this size are digested at once: a thread would cost more.
SMALL_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20


class Input:
    """The input of one attempt. It is opened at once, so that a command may delete it."""

    def __init__(self, task: Task) -> None:
        """Open the file and begin to digest it, when its digest is not known.

        Raises:
            InputMissing, InputUnreadable: As they say.
            InputChanged: It is not what it was when the run was submitted.
        """
        self.path = uri_path(task.uri)
        self._task = task
        self._digest = task.sha256
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None
        try:
            self._begin()
        except OSError as error:
            raise _refused(self.path, error) from error

    def wait(self) -> str | None:
        """The sha256 of its bytes, once it is known; None when they can't be read."""
        if self._thread is not None:
            self._thread.join()
        return self._digest

    def check(self) -> None:
        """Make sure that what was worked on is what was digested.

        Raises:
            InputUnreadable: It could not be read to its end.
            InputChanged: It was changed while it was worked on.
        """
        if self._error is not None:
            raise _refused(self.path, self._error) from self._error
        try:
            self._compare(os.stat(self.path))
        except FileNotFoundError:
            pass  # The work itself has removed it, after it was opened.
        except OSError as error:
            raise _refused(self.path, error) from error

    def _begin(self) -> None:
        # Opening a pipe would wait for a writer that may never come.
        if not stat.S_ISREG(os.stat(self.path).st_mode):
            message = f"The input {str(self.path)!r} is no regular file."
            raise InputUnreadable(message, hint="Pipes, devices and folders can't be inputs.")
        descriptor = os.open(self.path, os.O_RDONLY)
        keep = False
        try:
            status = os.fstat(descriptor)
            self._compare(status)
            if self._digest is not None:
                return
            if status.st_size < SMALL_BYTES:
                self._digest = hashlib.sha256(_read_all(descriptor)).hexdigest()
                return
            keep = True
            self._thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
            self._thread.start()
        finally:
            if not keep:
                os.close(descriptor)

    def _read(self, descriptor: int) -> None:
        digest = hashlib.sha256()
        try:
            while chunk := os.read(descriptor, _CHUNK_BYTES):
                digest.update(chunk)
            self._digest = digest.hexdigest()
        except OSError as error:
            self._error = error
        finally:
            os.close(descriptor)

    def _compare(self, status: os.stat_result) -> None:
        task = self._task
        if (status.st_size, status.st_mtime_ns) != (task.size, task.mtime_ns):
            message = f"The input {str(self.path)!r} has changed since the run was submitted."
            hint = "Give the same command once more when this run has ended: it takes the new one."
            raise InputChanged(message, hint=hint)


def _read_all(descriptor: int) -> bytes:
    chunks = []
    while chunk := os.read(descriptor, SMALL_BYTES):
        chunks.append(chunk)
    return b"".join(chunks)


def _refused(path: Path, error: OSError) -> TaskError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputMissing(f"The input {str(path)!r} is not there any more.")
    message = f"The input {str(path)!r} can't be read: {error.strerror}."
    return InputUnreadable(message, hint="Check its rights, and the disk that it lies on.")
