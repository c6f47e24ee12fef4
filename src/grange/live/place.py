"""The site that runs of this program live in, open as long as one of them is held."""

from __future__ import annotations

import weakref
from contextlib import ExitStack
from os import PathLike, fspath
from typing import TYPE_CHECKING

from grange.settings import Settings, load

if TYPE_CHECKING:
    from grange.bootstrap.embedded import Site


class Place:
    """An open site. It closes by itself once nothing refers to it, at the latest at the end."""

    def __init__(self, settings: Settings) -> None:
        """Open the site of these settings."""
        # Programs work here, also where the commands talk to a server.
        from grange.bootstrap.embedded import open_site

        stack = ExitStack()
        self.settings = settings
        self.site: Site = stack.enter_context(open_site(settings))
        self.close = weakref.finalize(self, stack.close)


def open_place(home: str | PathLike[str] | None, **flags: object) -> Place:
    """Open the site of a home, or of the usual one; `flags` are further settings."""
    return Place(load({"home": None if home is None else fspath(home), **flags}))
