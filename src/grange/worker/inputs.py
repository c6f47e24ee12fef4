"""An attempt's input: that it is there and unchanged, and its digest, taken beside the work."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from grange.core.tasks import Task
from grange.errors import InputChanged, InputMissing, InputUnreadable, TaskError
from grange.storage import uri_name
from grange.storage.s3urls import is_s3
from grange.worker.fetching import Fetcher, fetcher_in

# Files below this size are digested at once: a thread would cost more.
SMALL_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_EMPTY_SHA256 = hashlib.sha256().hexdigest()


class Input:
    """The input of one attempt. It is opened at once, so that a command may delete it."""

    def __init__(self, task: Task, fetcher: Fetcher | None = None) -> None:
        """Open the file and begin to digest it, when its digest is not known.

        One in a bucket is fetched first, and stays here until the input is left.

        Raises:
            InputMissing, InputUnreadable: As they say.
            InputChanged: It is not what it was when the run was submitted.
        """
        self._task = task
        self._digest = task.sha256
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None
        self._holding: ExitStack | None = None
        if is_s3(task.uri):
            with ExitStack() as holding:
                self.path = self._fetched(holding, fetcher)
                self._name = os.fspath(self.path)
                self._open()
                self._holding = holding.pop_all()
        else:
            self._name = uri_name(task.uri)
            self.path = Path(self._name)
            self._open()

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._holding is not None:
            self._holding.close()

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
            raise _refused(self._name, self._error) from self._error
        try:
            self._compare(os.stat(self._name))
        except FileNotFoundError:
            pass  # The work itself has removed it, after it was opened.
        except OSError as error:
            raise _refused(self._name, error) from error

    def _open(self) -> None:
        try:
            # A pipe or device in the file's place must not keep the worker waiting.
            descriptor = os.open(self._name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            raise _refused(self._name, error) from error
        try:
            self._begin(descriptor)
        except OSError as error:
            raise _refused(self._name, error) from error
        finally:
            if self._thread is None:
                os.close(descriptor)

    def _fetched(self, holding: ExitStack, fetcher: Fetcher | None) -> Path:
        task = self._task
        fetcher = fetcher or fetcher_in("")
        held = holding.enter_context(fetcher.fetch(task.uri, task.size, task.mtime_ns))
        if task.sha256 not in {None, held.sha256}:
            raise InputChanged(f"The input {task.uri!r} is not what it was when it was digested.")
        self._digest = held.sha256
        return held.path

    def _begin(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _irregular(self._name)
        self._compare(status)
        if self._digest is not None:
            return
        if status.st_size < SMALL_BYTES:
            self._digest = _digest(descriptor, status.st_size)
            return
        thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        thread.start()
        self._thread = thread

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
            message = f"The input {self._name!r} has changed since the run was submitted."
            hint = "Give the same command once more when this run has ended: it takes the new one."
            raise InputChanged(message, hint=hint)


def _digest(descriptor: int, size: int) -> str:
    """The digest of a small file that is not being changed."""
    if not size:
        return _EMPTY_SHA256
    content = os.read(descriptor, size)
    while len(content) < size:
        chunk = os.read(descriptor, size)
        if not chunk:
            break  # It is shorter by now, which its status will show.
        content += chunk
    return hashlib.sha256(content).hexdigest()


def _refused(name: str, error: OSError) -> TaskError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return InputMissing(f"The input {name!r} is not there any more.")
    if error.errno == errno.ENXIO:
        return _irregular(name)
    message = f"The input {name!r} can't be read: {error.strerror}."
    return InputUnreadable(message, hint="Check its rights, and the disk that it lies on.")


def _irregular(name: str) -> InputUnreadable:
    message = f"The input {name!r} is no regular file."
    return InputUnreadable(message, hint="Pipes, devices and folders can't be inputs.")
