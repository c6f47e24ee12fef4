"""The nouns on the left of every page."""

from __future__ import annotations

from typing import NamedTuple

from grange.accounts.models import Actor, Role


class Noun(NamedTuple):
    """A row of the navigation: its text is `frame.nav.<name>`, its icon has that name."""

    name: str
    path: str
    admin: bool = False  # for administrators alone
    member: bool = False  # not for viewers
    below: bool = False  # below the line: about the site rather than the work

    def holds(self, path: str) -> bool:
        """Whether a page's address belongs to this noun."""
        return path == self.path or (self.path != "/" and path.startswith(self.path + "/"))


NOUNS = (
    Noun("overview", "/"),
    Noun("runs", "/runs"),
    Noun("workers", "/workers", member=True),
    Noun("people", "/people", admin=True, below=True),
    Noun("audit", "/audit", admin=True, below=True),
    Noun("settings", "/settings", admin=True, below=True),
    Noun("health", "/health", admin=True, below=True),
)


def nouns_of(actor: Actor) -> list[Noun]:
    """What this person may see."""
    viewer = actor.user.role is Role.VIEWER
    return [
        noun for noun in NOUNS if actor.is_admin or not (noun.admin or (noun.member and viewer))
    ]
