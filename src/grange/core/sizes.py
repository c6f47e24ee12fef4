"""Numbers of bytes as people read them: the same everywhere, in steps of a thousand. Pure."""

from __future__ import annotations

_NAMES = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000
# Three digits say enough.
_MANY = 100


def size(count_bytes: float) -> str:
    """`1.4 MB`, `230 MB`."""
    unit = 0
    while count_bytes >= _STEP and unit < len(_NAMES) - 1:
        count_bytes /= _STEP
        unit += 1
    digits = 1 if unit and count_bytes < _MANY else 0
    return f"{count_bytes:,.{digits}f} {_NAMES[unit]}"
