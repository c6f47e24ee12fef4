"""Where a user's own files lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def xdg_folder(environment: Mapping[str, str], variable: str, default: str) -> Path:
    """The folder of a kind of files, as the XDG specification says."""
    # It says too that a relative path is to be ignored.
    folder = Path(environment.get(variable) or "")
    if folder.is_absolute():
        return folder
    return Path(environment.get("HOME") or Path.home()) / default
