"""Inputs of a batch as files: which are still being written, which are done, where they go."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from grange.errors import TaskError

if TYPE_CHECKING:
    from grange.runs.models import ItemView, RunView


def fresh_files(folder: Path, settle_seconds: float) -> dict[str, tuple[int, int] | None]:
    """The files that somebody has written to just now."""
    found: dict[str, tuple[int, int] | None] = {}
    edge = time.time() - settle_seconds
    for place, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(place, name)
            stamp = stamp_of(file)
            if stamp is not None and stamp[1] / 1e9 > edge:
                found[file] = stamp
    return found


def stamp_of(file: str) -> tuple[int, int] | None:
    """A file's size and time; None when it is not there."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def is_same(file: Path, item: ItemView) -> bool:
    """Whether the file is still what was worked on: another one of its name is yet to be done."""
    stamp = stamp_of(str(file))
    if stamp is None or stamp[0] != item.size:
        return False
    if item.mtime_ns:
        return stamp[1] == item.mtime_ns
    from grange.storage import digest_file

    # A server does not say what times the files here had.
    try:
        return item.sha256 is not None and digest_file(file)[0] == item.sha256
    except TaskError:
        return False


def move(file: Path, target: Path) -> bool:
    """Move a file; one of the same name that is there already stays, and this one gets a number."""
    target.parent.mkdir(parents=True, exist_ok=True)
    free, number = target, 1
    while os.path.lexists(free):
        number += 1
        free = target.with_name(f"{target.stem}.{number}{target.suffix}")
    try:
        shutil.move(file, free)
    except FileNotFoundError:
        return False  # Another process was faster.
    return True


def write_reason(reason: Path, run: RunView, item: ItemView) -> None:
    """Write down why an input failed; the same reason is not written twice."""
    failure = item.failure or {}
    lines = [
        f"{failure.get('message', 'It failed.')} [{failure.get('code', 'unknown')}]",
        f"tried {item.attempts} times, in run {run.id}",
        f"what it wrote: grange runs logs {run.id} {item.path!r}",
    ]
    text = "\n".join(lines) + "\n"
    reason.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if reason.read_text(encoding="utf-8", errors="replace") == text:
            return
    reason.write_text(text, encoding="utf-8", errors="backslashreplace")
