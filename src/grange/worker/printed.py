"""What pipelines print: kept per attempt, though a worker's stdout and stderr are its own."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from grange.engines.logs import keep_log
from grange.pipelines.base import Work

_STDOUT, _STDERR = 1, 2


class Printed:
    """Finds out what a task has printed. Descriptors 1 and 2 must be files opened to append."""

    def __init__(self) -> None:
        """Forget what was printed before the first task."""
        _empty()

    def keep(self, work: Work) -> None:
        """Move what was printed since the last call into the attempt's logs, if anything was.

        Raises:
            OSError: The logs can't be written.
        """
        _flush()
        # Both are empty after nearly all tasks: to find that out must cost nothing.
        if os.lseek(_STDOUT, 0, os.SEEK_END) or os.lseek(_STDERR, 0, os.SEEK_END):
            try:
                for descriptor, log in zip((_STDOUT, _STDERR), work.logs, strict=True):
                    # It was opened to write only; its file can be opened again.
                    keep_log(f"/dev/fd/{descriptor}", log)
            finally:
                # Emptied each time, so that what is there is always the task's at hand.
                _empty()


def _empty() -> None:
    for descriptor in (_STDOUT, _STDERR):
        os.ftruncate(descriptor, 0)


def _flush() -> None:
    # Pipelines may have closed or replaced them by anything.
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
