"""How numbers, times and names are said to people."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_SHORT_SECONDS = 10


def size(count_bytes: float) -> str:
    """`1.2 GB`."""
    from grange.core import sizes

    return sizes.size(count_bytes)


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 05 s`, `2 h 07 min`, `3 d 4 h`."""
    if seconds < _SHORT_SECONDS:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def items(count: int) -> str:
    """`1 item`, `1,200 items`."""
    return f"{count:,} item{'' if count == 1 else 's'}"


def moment(epoch_seconds: float | None) -> str:
    """The local time, to the second; `-` for never."""
    if epoch_seconds is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_seconds))


def iso(epoch_seconds: float) -> str:
    """The time in UTC as programs read it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds")


def visible(text: str) -> str:
    """The text with everything escaped that would not show, or would move the cursor."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def value(data: object) -> str:
    """A parameter's value as it is written after NAME=."""
    import json

    return visible(data if isinstance(data, str) else json.dumps(data, ensure_ascii=False))


def place(url: str) -> str:
    """A store's URL as people name it: a folder by its path, short when it lies below this one."""
    path = folder(url)
    return url if path is None else short(path)


def folder(url: str) -> Path | None:
    """The folder or file that a store's URL means; None where it is no path of a machine."""
    from pathlib import Path
    from urllib.parse import unquote_to_bytes

    if not url.startswith("file://"):
        return None
    return Path(os.fsdecode(unquote_to_bytes(url.removeprefix("file://"))))


def short(path: Path) -> str:
    """A path as people name it, from here where it lies below this folder."""
    here = path.cwd()
    return visible(str(path.relative_to(here) if path.is_relative_to(here) else path))
