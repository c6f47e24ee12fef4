"""From an exception to the failure of an attempt: a code, words, and evidence of bounded size."""

from __future__ import annotations

import errno
import traceback

from grange.core.tasks import JSON, Failure
from grange.errors import GrangeError, StoreFull, TaskError, UsageError

# No text of the evidence is longer, and no traceback has more lines of frames.
TEXT_LIMIT = 16_384
FRAME_LIMIT = 20


def failure_of(error: BaseException) -> Failure:
    """Why the attempt failed, for people and for programs."""
    if isinstance(error, TaskError):
        return Failure(error.code, str(error), error.retryable, _bounded(error.evidence))
    if isinstance(error, GrangeError):
        # What is wrong with a request is wrong the next time too.
        return Failure(error.code, str(error), not isinstance(error, UsageError))
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Failure(StoreFull.code, "There is no room left on the disk.")
    evidence: dict[str, JSON] = {
        "exception": type(error).__name__,
        "traceback": _traceback(error),
    }
    if isinstance(error, MemoryError):
        return Failure("task.memory_exceeded", "The worker ran out of memory.", evidence=evidence)
    words = str(error).strip() or "without a message"
    message = f"The pipeline raised {type(error).__name__}: {words}"
    return Failure("pipeline.failed", message[:TEXT_LIMIT], evidence=evidence)


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__, FRAME_LIMIT)
    except Exception:  # noqa: BLE001  # the exception's own text may fail in any way
        return ""
    return "".join(lines)[-TEXT_LIMIT:]


def _bounded(evidence: dict[str, object]) -> dict[str, JSON]:
    return {
        name: value[-TEXT_LIMIT:] if isinstance(value, str) else value
        for name, value in evidence.items()
    }
