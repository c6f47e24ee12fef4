"""The one-time links that people get."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from grange.server.parts import Parts


def set_up(base: str, key: str) -> str:
    """Where the first administrator is made; `base` is the server's address."""
    return f"{base}/setup?{urlencode({'key': key})}"


def welcome(parts: Parts, key: str) -> str:
    """Where a password is chosen, by an invitation or after a reset."""
    return f"{parts.url}/welcome?{urlencode({'key': key})}"
