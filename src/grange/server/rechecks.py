"""Whether those who listen may still: asked again every few seconds, of all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from grange.accounts.models import Actor

# Whoever is shut out hears nothing more after about so long.
EVERY_SECONDS = 3.0

Still = Callable[[Sequence["Actor"]], list[bool]]


class Guest(Protocol):
    """Whoever was let in, and can be shown out."""

    @property
    def actor(self) -> Actor | None:
        """As whom they were let in; None is asked for nothing."""

    def close(self) -> None:
        """Show them out."""


class Rechecks:
    """Shows out those who would not be let in any more as they were."""

    def __init__(self, still: Still) -> None:
        """Ask this who may."""
        self._still = still
        self._next = time.monotonic() + EVERY_SECONDS

    async def look(self, guests: Iterable[Guest]) -> None:
        """Ask of all of them, unless it was done just now."""
        if time.monotonic() < self._next:
            return
        asked = [(one, one.actor) for one in guests if one.actor is not None]
        if asked:
            answers = await asyncio.to_thread(self._still, [actor for _, actor in asked])
            for (guest, _), may in zip(asked, answers, strict=True):
                if not may:
                    guest.close()
        self._next = time.monotonic() + EVERY_SECONDS
