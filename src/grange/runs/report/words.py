"""Numbers, sizes and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from grange.core import sizes

_TENS = 10
# Up to here seconds are told with a decimal, beyond in two units.
_MINUTE = 60
_HOUR = 3600
_DAY = 86400

size = sizes.size


def number(value: float) -> str:
    """A count with its thousands apart: 12,345."""
    return f"{value:,.0f}"


def plural(count: int, word: str) -> str:
    """A count and its noun: 1 item, 2 items."""
    return f"{number(count)} {word}" if count == 1 else f"{number(count)} {word}s"


def duration(seconds: float) -> str:
    """A time that something took, in at most two units: 4.2 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 1:
        milliseconds = seconds * 1000
        return f"{milliseconds:.{1 if 0 < milliseconds < _TENS else 0}f} ms"
    if seconds < _MINUTE:
        return f"{seconds:.{2 if seconds < _TENS else 1}f} s"
    for unit, below, unit_name, below_name in (
        (_DAY, _HOUR, "d", "h"),
        (_HOUR, _MINUTE, "h", "min"),
        (_MINUTE, 1, "min", "s"),
    ):
        if seconds >= unit:
            whole, rest = divmod(int(seconds), unit)
            less = f" {rest // below} {below_name}" if rest >= below else ""
            return f"{whole} {unit_name}{less}"
    raise AssertionError(seconds)


def round_duration(seconds: float) -> str:
    """A duration that is a round number, without decimals that say nothing: 0, 2 s, 2.5 s."""
    if not seconds:
        return "0"
    whole, dot, rest = duration(seconds).partition(".")
    if not dot:
        return whole
    decimals, unit = rest.split(" ")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals} {unit}" if decimals else f"{whole} {unit}"


def moment(timestamp: float) -> str:
    """A point in time, in UTC, to the minute."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M UTC")


def shortened(text: str, limit: int) -> str:
    """The text, its middle left out where it is longer than the limit."""
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"
