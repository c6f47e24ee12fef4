"""What a cache of sessions is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

# What is forgotten stays so for this long, whatever a slower thread still wants to put in.
HOLD_SECONDS = 20


class SessionCache(ABC):
    """Short texts by key, each for a while; many threads and processes may use it at once.

    It may forget anything at any time, and never fails: where a server is lost, nothing
    is found and nothing kept. So what it says must be short-lived, and what it
    doesn't know be looked up elsewhere.
    """

    # Whether a look may take as long as a network does.
    waits: ClassVar[bool] = True

    @abstractmethod
    def get(self, key: str) -> str | None:
        """What was put under this key and still holds."""

    @abstractmethod
    def put(self, key: str, value: str, *, seconds: int) -> None:
        """Keep a text for so many whole seconds; what is there already stays as it is."""

    @abstractmethod
    def drop(self, key: str) -> None:
        """Forget what is under this key, and take nothing new for it for `HOLD_SECONDS`.

        So one who read the truth before it changed can't bring the old back afterwards.
        """

    @abstractmethod
    def close(self) -> None:
        """Give back what is open; the cache opens again when it is used."""
