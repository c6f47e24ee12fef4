"""When something was taken, as its file says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

# The camera's own clock with its zone first; what containers keep in UTC after.
_KEYS: Final = (
    "com.apple.quicktime.creationdate",
    "creation_time",
    "date_recorded",
    "date_time_original",
    "date",
)
# A clock that was never set says the year that its maker counts from.
_FIRST_YEAR: Final = 1990
_EXIF: Final = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET: Final = re.compile(r"[+-]\d\d:\d\d|Z")
_COMPACT_ZONE: Final = re.compile(r"([+-]\d\d)(\d\d)$")


def taken_in(*metadata: Mapping[str, str]) -> datetime | None:
    """The time that a container's metadata name; the first of these that names one counts."""
    for each in metadata:
        lower = {key.lower(): value for key, value in each.items()}
        for key in _KEYS:
            if found := _parsed(lower.get(key, "")):
                return found
    return None


def taken_exif(stamp: object, offset: object) -> datetime | None:
    """The time of an EXIF stamp; with a zone where EXIF has an offset for it."""
    found = _EXIF.match(stamp) if isinstance(stamp, str) else None
    if found is None:
        return None
    zone = offset.strip() if isinstance(offset, str) else ""
    day, clock = "-".join(found.groups()[:3]), ":".join(found.groups()[3:])
    return _parsed(f"{day}T{clock}{zone if _OFFSET.fullmatch(zone) else ''}")


def _parsed(text: str) -> datetime | None:
    # Without a time of day it is no more than the day of a copyright.
    if ":" not in text:
        return None
    try:
        taken = datetime.fromisoformat(_COMPACT_ZONE.sub(r"\1:\2", text.strip()))
    except ValueError:
        return None
    return taken.replace(microsecond=0) if taken.year >= _FIRST_YEAR else None
