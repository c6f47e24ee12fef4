"""The names of users, remembered for seconds: every list of runs asks for the same few."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from grange.accounts.recall import TRUST_SECONDS

MOST_NAMES = 10_000


class Names:
    """Names by users' ids. What another process changes is noticed within `TRUST_SECONDS`.

    Many threads may use it at once: each step is one of a dictionary's own.
    """

    def __init__(self) -> None:
        """Know none."""
        self._known: dict[str, tuple[float, str]] = {}

    def find(self, ids: Iterable[str]) -> dict[str, str]:
        """The names that are known of these."""
        now = time.monotonic()
        entries = ((one, self._known.get(one)) for one in ids)
        return {one: entry[1] for one, entry in entries if entry and entry[0] > now}

    def keep(self, names: Mapping[str, str]) -> None:
        """Know these for a while."""
        if len(self._known) + len(names) > MOST_NAMES:
            self._known = {}
        until = time.monotonic() + TRUST_SECONDS
        self._known.update({one: (until, name) for one, name in names.items()})

    def drop(self, user_id: str) -> None:
        """Forget a name: it is another one by now, or none."""
        self._known.pop(user_id, None)
