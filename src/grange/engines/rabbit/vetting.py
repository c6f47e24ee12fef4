"""Whether what a station says of an attempt can have come of one: pure.

Stations are other people's machines, which run other people's programs. What they say
goes into the ledger, where one thing that no column takes would hold up all the rest.
"""

from __future__ import annotations

from typing import Final

from grange.core.tasks import JSON, Failure, Outcome, Output

# What a column of the ledger holds.
_MOST: Final = (1 << 63) - 1
_LONGEST_DIGEST: Final = 64
_LONGEST_CODE: Final = 64
_LONGEST_NAME: Final = 4096
_LONGEST_WORDS: Final = 1 << 20
# Lists in lists can be read far deeper than they can be written.
_DEEPEST: Final = 200


def is_sound(outcome: Outcome) -> bool:
    """Whether everything in it is of the kind that it should be, and of a size that can be kept."""
    # Most have none of what comes last, and there may be ten thousand in a second.
    return (
        type(outcome.task) is int
        and type(outcome.epoch) is int
        and _is_amount(outcome.seconds)
        and _is_text(outcome.worker)
        and (outcome.sha256 is None or _is_text(outcome.sha256, _LONGEST_DIGEST))
        and _is_count(outcome.peak_bytes)
        and _is_a(bool, outcome.merged)
        and type(outcome.counts) is dict
        and (not outcome.counts or all(map(_is_amount, outcome.counts.values())))
        and type(outcome.outputs) is tuple
        and (not outcome.outputs or all(map(_is_output, outcome.outputs)))
        and (outcome.failure is None or _is_failure(outcome.failure))
        and (outcome.result is None or _is_shallow(outcome.result))
    )


def _is_output(output: Output) -> bool:
    return (
        _is_text(output.path)
        and _is_count(output.size)
        and _is_text(output.sha256, _LONGEST_DIGEST)
        and type(output.mtime_ns) is int
        and abs(output.mtime_ns) <= _MOST
    )


def _is_failure(failure: Failure) -> bool:
    return (
        _is_text(failure.code, _LONGEST_CODE)
        and _is_text(failure.message, _LONGEST_WORDS)
        and _is_a(bool, failure.retryable)
        and type(failure.evidence) is dict
        and _is_shallow(failure.evidence)
    )


def _is_a(kind: type, value: object) -> bool:
    return isinstance(value, kind)


def _is_amount(value: object) -> bool:
    # What is no number at all, or has no end, is not within it.
    return isinstance(value, int | float) and abs(value) <= _MOST


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _MOST


def _is_text(value: object, longest: int = _LONGEST_NAME) -> bool:
    """Whether it is text that any database takes: Unicode, without NUL."""
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        return False
    return value.isascii() or value == value.encode(errors="replace").decode()


def _is_shallow(value: JSON, left: int = _DEEPEST) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return left > 0 and all(_is_shallow(one, left - 1) for one in value)
