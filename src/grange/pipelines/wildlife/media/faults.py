"""What is said of a file that can't be read, in one sentence that a person understands."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from grange.errors import InputMissing, InputUnreadable, TaskError


def unreadable(path: Path, what: str, *, hint: str = "") -> InputUnreadable:
    """The error that says of this file: "The input … " and what is wrong with it."""
    # Escapes what is not UTF-8 by itself.
    return InputUnreadable(f"The input {path.name!r} {what}.", hint=hint)


def check_file(path: Path) -> int:
    """The size of a file that holds anything.

    Raises:
        InputMissing: There is none.
        InputUnreadable: It is empty, no file, or not to be read.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        raise file_error(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise unreadable(path, "is no regular file")
    if not found.st_size:
        raise unreadable(path, "is empty", hint="Copy it again from the camera's card.")
    return found.st_size


def file_error(path: Path, error: OSError) -> TaskError:
    """What is said when the system refuses a file."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return InputMissing(f"The input {path.name!r} is not there any more.")
    reason = os.strerror(error.errno) if error.errno else str(error)
    return unreadable(path, f"can't be read: {reason}", hint="Check its rights, and its disk.")
