"""Where servers of ours run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

# Networks that are on this machine alone; the third number says which.
OWN_NETWORKS = "10.213."


@dataclass(frozen=True)
class Place:
    """This machine itself, or a host of a network of ours."""

    address: str = "127.0.0.1"
    prefix: tuple[str, ...] = ()  # what starts a program there
    folder: Path | None = None  # for its files, where it has a disk of its own
    # What stands before the program itself when it is started next, as its own user.
    inside: list[str] = field(default_factory=list, compare=False)


HERE = Place()
