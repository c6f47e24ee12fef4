"""The cache in this process's own memory."""

from __future__ import annotations

import threading
import time

from grange.accounts.sessions.base import HOLD_SECONDS, SessionCache

# Entries that live for seconds: more of them than this means that most are of no use.
MOST_ENTRIES = 20_000


class MemoryCache(SessionCache):
    """A bounded dictionary. Other processes don't see it: they agree once its entries end."""

    waits = False

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        # An entry without a text is a key that is held.
        self._entries: dict[str, tuple[float, str | None]] = {}

    def get(self, key: str) -> str | None:
        """What was put under this key and still holds."""
        with self._lock:
            return self._alive(key, time.monotonic())[1]

    def put(self, key: str, value: str, *, seconds: int) -> None:
        """Keep a text for so many whole seconds; what is there already stays as it is."""
        now = time.monotonic()
        with self._lock:
            if self._alive(key, now)[0] <= now:
                self._set(key, now + seconds, value)

    def drop(self, key: str) -> None:
        """Forget what is under this key, and take nothing new for it for `HOLD_SECONDS`."""
        with self._lock:
            self._set(key, time.monotonic() + HOLD_SECONDS, None)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def _alive(self, key: str, now: float) -> tuple[float, str | None]:
        entry = self._entries.get(key, (now, None))
        return entry if entry[0] > now else (now, None)

    def _set(self, key: str, until: float, value: str | None) -> None:
        self._entries.pop(key, None)
        if len(self._entries) >= MOST_ENTRIES:
            self._make_room()
        self._entries[key] = (until, value)

    def _make_room(self) -> None:
        now = time.monotonic()
        self._entries = {key: entry for key, entry in self._entries.items() if entry[0] > now}
        while len(self._entries) >= MOST_ENTRIES:
            # The oldest one.
            del self._entries[next(iter(self._entries))]
