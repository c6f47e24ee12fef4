"""What archives of all kinds have in common: members, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from grange.errors import ArchiveRefused

MOST_MEMBERS = 100_000


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


@dataclass(frozen=True)
class Member:
    """A file in an archive. Its content can be read until the next one is asked for."""

    path: str
    size: int
    content: Readable


def refused(path: str, what: str) -> ArchiveRefused:
    """The error for a member that must not be unpacked."""
    return ArchiveRefused(
        f"The archive's {path!r} is {what}; only plain files are unpacked.",
        hint="Pack it again without it.",
    )
