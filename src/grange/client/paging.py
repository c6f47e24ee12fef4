"""Lists that come in parts, and names inside of paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import quote

from grange.client.schemas.basis import Page
from grange.client.trouble import not_understood

T = TypeVar("T")


def every(fetch: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """All entries of a list, fetching the next part when it is needed."""
    after: str | None = None
    while True:
        page = fetch(after)
        yield from page.items
        if page.next is None:
            return
        if page.next == after:
            # Such a list would be read for ever.
            raise not_understood("a list that comes in parts")
        after = page.next


def quoted(name: str, *, safe: str = "") -> str:
    """A name as one part of a path, or with `safe="/"` several; `.` and `..` stay names too."""
    text = quote(name, safe=safe)
    return text.replace(".", "%2E") if name in {".", ".."} else text
