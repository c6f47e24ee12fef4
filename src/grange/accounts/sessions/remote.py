"""What the caches on servers have in common: a server that is away must slow nothing down."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

from grange.accounts.sessions.base import HOLD_SECONDS, SessionCache

T = TypeVar("T")

TIMEOUT_SECONDS = 0.25
# How long a lost server is left alone: doubled each time that it is still away.
FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 10.0
# What could not be dropped while the server was away, and is when it is back.
MOST_OWED = 10_000

# What stands for a key that is held. No entry is empty.
HELD = ""


class RemoteCache(SessionCache):
    """A cache on a server, over a client that raises one kind of errors."""

    # The errors of the client that mean no more than "not now".
    lost: tuple[type[Exception], ...] = (OSError,)

    def __init__(self) -> None:
        """Think well of the server until it fails."""
        self._lock = threading.Lock()
        self._rest_until = 0.0
        self._rest_seconds = FIRST_REST_SECONDS
        self._owed: dict[str, float] = {}

    @abstractmethod
    def fetch(self, key: str) -> str | None:
        """Ask the server for a text."""

    @abstractmethod
    def add(self, key: str, value: str, seconds: int) -> None:
        """Have the server keep a text if it has none under this key."""

    @abstractmethod
    def replace(self, key: str, value: str, seconds: int) -> None:
        """Have the server keep a text whatever it has."""

    def get(self, key: str) -> str | None:
        """What was put under this key and still holds."""
        return self._try(lambda: self.fetch(key)) or None

    def put(self, key: str, value: str, *, seconds: int) -> None:
        """Keep a text for so many whole seconds; what is there already stays as it is."""
        self._try(lambda: self.add(key, value, seconds))

    def drop(self, key: str) -> None:
        """Forget what is under this key, and take nothing new for it for `HOLD_SECONDS`."""
        with self._lock:
            if len(self._owed) < MOST_OWED:
                self._owed[key] = time.monotonic() + HOLD_SECONDS
        self._try(lambda: None)

    def _try(self, ask: Callable[[], T]) -> T | None:
        now = time.monotonic()
        if now < self._rest_until:
            return None
        try:
            self._pay(now)
            answer = ask()
        except self.lost:
            self._rest(now)
            return None
        self._rest_seconds = FIRST_REST_SECONDS
        return answer

    def _pay(self, now: float) -> None:
        """Drop what is still to be dropped, before anything else is believed."""
        for key, until in list(self._owed.items()):
            if until > now:
                self.replace(key, HELD, HOLD_SECONDS)
            with self._lock:
                if self._owed.get(key) == until:
                    del self._owed[key]

    def _rest(self, now: float) -> None:
        with self._lock:
            # Of many threads that find the server away at once, one makes the rest longer.
            if now >= self._rest_until:
                self._rest_until = time.monotonic() + self._rest_seconds
                self._rest_seconds = min(self._rest_seconds * 2, LONGEST_REST_SECONDS)
