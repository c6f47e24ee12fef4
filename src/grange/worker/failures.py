"""From an exception to the failure of an attempt: a code, words, and evidence of bounded size."""

from __future__ import annotations

import errno
import json
import traceback

from grange.core.tasks import JSON, Failure
from grange.errors import GrangeError, PipelineFailed, StoreFull, TaskError, UsageError

# No text of the evidence is longer, and no traceback has more lines of frames.
TEXT_LIMIT = 16_384
FRAME_LIMIT = 20

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def failure_of(error: BaseException) -> Failure:
    """Why the attempt failed, for people and for programs. Plain data, whatever was raised."""
    if isinstance(error, TaskError):
        return Failure(error.code, _words(error), error.retryable, _plain(error.evidence))
    if isinstance(error, GrangeError):
        # What is wrong with a request is wrong the next time too.
        return Failure(error.code, _words(error), not isinstance(error, UsageError))
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return Failure(StoreFull.code, "There is no room left on the disk.")
    if isinstance(error, MemoryError):
        message = "The worker ran out of memory."
        return Failure("task.memory_exceeded", message, evidence=_evidence(error))
    message = f"The pipeline raised {type(error).__name__}: {_words(error)}"
    return Failure(PipelineFailed.code, message, evidence=_evidence(error))


def failed_in(method: str, error: Exception) -> Exception:
    """The error of a pipeline's method, told with the method's name where that says more."""
    if isinstance(error, GrangeError | MemoryError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return error
    message = f"The pipeline's {method} raised {type(error).__name__}: {_words(error)}"
    return PipelineFailed(message, evidence=_evidence(error))


def _words(error: BaseException) -> str:
    try:
        words = str(error).strip()
    except Exception:  # noqa: BLE001  # the exception's own text may fail in any way
        words = ""
    return _clean(words[:TEXT_LIMIT]) or "without a message"


def _evidence(error: BaseException) -> dict[str, JSON]:
    return {"exception": type(error).__name__, "traceback": _traceback(error)}


def _traceback(error: BaseException) -> str:
    try:
        # The innermost frames say most.
        lines = traceback.format_exception(type(error), error, error.__traceback__, -FRAME_LIMIT)
    except Exception:  # noqa: BLE001  # the exception's own text may fail in any way
        return ""
    return _clean("".join(lines)[-TEXT_LIMIT:])


def _plain(evidence: dict[str, object]) -> dict[str, JSON]:
    """The evidence as JSON carries it, in bounded size."""
    return {str(name): _plain_value(value) for name, value in evidence.items()}


def _plain_value(value: object) -> JSON:
    if isinstance(value, str):
        return _clean(value[-TEXT_LIMIT:])
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except Exception:  # noqa: BLE001  # pipelines may put anything into it
        return _repr(value)
    return value if len(text) <= TEXT_LIMIT else text[-TEXT_LIMIT:]


def _repr(value: object) -> str:
    try:
        return _clean(repr(value)[-TEXT_LIMIT:])
    except Exception:  # noqa: BLE001  # as any code of a pipeline
        return f"a {type(value).__name__}"


def _clean(text: str) -> str:
    """The text without what no database takes: names that are no Unicode, and NUL."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
