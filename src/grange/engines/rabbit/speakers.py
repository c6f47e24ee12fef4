"""Whether who says something at the broker is who it says it is.

Where each worker has a user of its own, the broker vouches for the user that a
message names. A worker of an earlier version names none, and one that shares its
user with all others can't: such are believed, until they have proved it once.
"""

from __future__ import annotations

from grange.engines.rabbit.names import Names


class Speakers:
    """Those who speak at one site's broker. May be asked from several threads."""

    def __init__(self, names: Names) -> None:
        """Nobody has proved anything yet."""
        self._names = names
        self._proven: set[str] = set()

    def believed(self, station: str, user: str) -> bool:
        """Whether what calls itself this station's, and was sent by this user, is."""
        if user == self._names.user(station):
            self._proven.add(station)
            return True
        return not self._names.is_workers(user) and station not in self._proven
