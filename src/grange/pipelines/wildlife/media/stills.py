"""Stills: upright and in RGB, whatever they were stored as."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from grange.pipelines.wildlife.pictures import Picture


@dataclass(frozen=True, slots=True)
class Still:
    """A picture, and when it was taken; with a zone only where the file names one."""

    picture: Picture
    taken: datetime | None


def open_still(path: Path) -> Still:
    """Read a picture whole. Of several pictures in one file it is the first.

    Raises:
        InputUnreadable: It is no picture, damaged, cut off, or larger than any camera's.
    """
    raise NotImplementedError
