"""Small files by which a worker finds out which of the server's folders it sees itself."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from grange.pool.models import Probe

PROBE_NAME = ".grange-probe"
_CONTENT = re.compile(r"[0-9a-f]{32}")
_LONGEST = 100


def place(folders: Iterable[Path]) -> list[Probe]:
    """A probe in each of these folders; one that may not be written to has none.

    What a probe says never changes, however many servers and threads place it.
    """
    found = []
    for folder in folders:
        path = folder / PROBE_NAME
        with suppress(OSError):
            content = _read(path) or _written(path)
            if content:
                found.append(Probe(str(path), content))
    return found


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            content = file.read(_LONGEST).strip()
    except FileNotFoundError:
        return ""
    return content if _CONTENT.fullmatch(content) else ""


def _written(path: Path) -> str:
    """What the probe says now: what was chosen here, or by somebody else at the same time."""
    content = secrets.token_hex(16)
    fresh = path.with_name(f"{path.name}.{content}")
    fresh.write_text(f"{content}\n", encoding="ascii")
    try:
        fresh.chmod(0o644)
        try:
            # A link is made by one alone, and shows no half-written file.
            os.link(fresh, path)
        except FileExistsError:
            if not _read(path):
                os.replace(fresh, path)
        except OSError:
            os.replace(fresh, path)  # A file system without links.
    finally:
        with suppress(FileNotFoundError):
            fresh.unlink()
    return _read(path)
