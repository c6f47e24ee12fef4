"""The words of the review: one file for the page on the disk and for the server's."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "texts" / "en.toml"


@functools.cache
def texts() -> dict[str, str]:
    """All texts by their keys; `kind.animal` is `animal` below `[kind]`."""
    return dict(_flat(tomllib.loads(FILE.read_text(encoding="utf-8")), ""))


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, str):
            yield prefix + name, value
        else:
            yield from _flat(value, f"{prefix}{name}.")
