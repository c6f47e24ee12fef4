"""What a station says to people who look at its terminal or its log: each thing once."""

from __future__ import annotations

import time
from collections.abc import Callable

# So many lines are remembered, not to be said again.
_REMEMBERED = 1000


class Words:
    """Says what begins and what is over, and not again what was said."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """Say lines by this."""
        self._say = say
        self._troubles: dict[str, str] = {}
        self._said: dict[str, None] = {}

    def say(self, text: str) -> None:
        """Say it."""
        self._say(text)

    def once(self, text: str) -> None:
        """Say it, unless it was said before."""
        if text not in self._said:
            self._said[text] = None
            if len(self._said) > _REMEMBERED:
                del self._said[next(iter(self._said))]
            self._say(text)

    def trouble(self, what: str, reason: str) -> None:
        """Something is not as it should be since now; said once, and when the reason changes."""
        if self._troubles.get(what) == reason:
            return
        since = "" if what in self._troubles else f" since {time.strftime('%H:%M:%S')}"
        self._troubles[what] = reason
        self._say(f"{what}{since}: {reason}")

    def over(self, what: str, words: str) -> None:
        """It is as it should be again."""
        if self._troubles.pop(what, None) is not None:
            self._say(words)
