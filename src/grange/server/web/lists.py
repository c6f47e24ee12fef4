"""Lists whose filter stands in the address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True)
class Address:
    """Where a list is shown: its path, what it is filtered by, and which page of it this is."""

    path: str
    filters: Mapping[str, str]
    after: str | None = None

    @property
    def is_filtered(self) -> bool:
        """Whether anything is asked for, so that an empty list does not mean that nothing is."""
        return any(self.filters.values())

    def first(self) -> str:
        """The first page with the same filter."""
        return self._with({})

    def next(self, after: str) -> str:
        """The page that follows."""
        return self._with({"after": after})

    def _with(self, more: Mapping[str, str]) -> str:
        asked = {name: value for name, value in [*self.filters.items(), *more.items()] if value}
        return f"{self.path}?{urlencode(asked)}" if asked else self.path
