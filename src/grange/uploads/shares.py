"""Folders that the server sees itself: what lies in them can be used without being sent."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grange.errors import InputsInvalid, StorePathRefused
from grange.storage import check_path


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A file as a client sees it; `path` is below the probed one, and empty for itself."""

    path: str
    size: int
    mtime_ns: int


def listed(setting: str | None) -> list[Path]:
    """The folders that the setting names, with colons between."""
    return [Path(path) for path in (setting or "").split(":") if path]


def resolve(shares: Sequence[Path], text: str) -> Path:
    """The file or folder of this absolute path, which lies in a share and is reached by no link.

    Raises:
        InputsInvalid: It is not there, or lies outside; nobody learns which.
    """
    for share in shares:
        found = _below(share, text)
        if found is not None:
            return found
    raise InputsInvalid(
        f"The server sees no {text[:300]!r} in its shared folders.",
        hint="Name a file or folder in one of them, or send the files.",
    )


def matches(place: Path, samples: Iterable[Sample]) -> bool:
    """Whether each sample is the very same file there: of one size and one time of change."""
    return all(_is_same(place, sample) for sample in samples)


def _below(share: Path, text: str) -> Path | None:
    root = os.path.normpath(share)
    if "\0" in text or not text.startswith("/"):
        return None
    rest = text.rstrip("/")
    if rest == root:
        return Path(root) if os.path.isdir(root) else None
    prefix = root.rstrip("/") + "/"
    if not rest.startswith(prefix):
        return None
    try:
        path = check_path(rest.removeprefix(prefix))
    except StorePathRefused:
        return None
    return _without_links(root, path.split("/"))


def _without_links(root: str, components: Sequence[str]) -> Path | None:
    """The path below the root, unless a link or nothing is on the way."""
    place = root
    for number, component in enumerate(components, start=1):
        place = os.path.join(place, component)
        try:
            mode = os.lstat(place).st_mode
        except (OSError, ValueError):
            return None
        is_last = number == len(components)
        if not (stat.S_ISDIR(mode) or (is_last and stat.S_ISREG(mode))):
            return None
    return Path(place)


def _is_same(place: Path, sample: Sample) -> bool:
    found: Path | None = place
    if sample.path:
        try:
            found = _without_links(str(place), check_path(sample.path).split("/"))
        except StorePathRefused:
            return False
    if found is None:
        return False
    try:
        status = os.lstat(found)
    except OSError:
        return False
    is_file = stat.S_ISREG(status.st_mode)
    return is_file and (status.st_size, status.st_mtime_ns) == (sample.size, sample.mtime_ns)
