"""What all topics of the pool stand on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from grange.accounts.models import Actor, Place
from grange.errors import EngineError
from grange.pool.models import JSON, EngineAccess, Probe, Worker
from grange.pool.presence import Beats

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from grange.accounts.service import Accounts
    from grange.db import Database


class Basis:
    """The database, the accounts with their audit log, the way to the engine, and the beats."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        access: EngineAccess,
        *,
        address: Callable[[], str] = lambda: "",
        probes: Callable[[], Sequence[Probe]] = lambda: (),
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire the parts.

        Args:
            database: With the tables of the newest revision.
            accounts: Whose rules and whose audit log hold.
            access: Gives workers their way to the engine, and takes it.
            address: What a token's line begins with: the server's URL, a `#`, and the SHA-256
                of its certificate where workers are to believe that one.
            probes: The files by which a worker finds out which folders it shares.
            clock: Tells the time.
            steady: Tells how time passes, whatever anybody does to the clock.
        """
        self._database = database
        self._accounts = accounts
        self._access = access
        self._address = address
        self._probes = probes
        self._clock = clock
        self._steady = steady
        self._beats = Beats(database)
        self._trusted: dict[str, tuple[Worker, float]] = {}
        self._revoke_at = 0.0
        # Workers that were long gone when they were looked at, since when of `steady`.
        self._gone: dict[str, float] = {}
        # What keeps machines from joining, as far as it is known.
        self.trouble: EngineError | None = None

    def _record(
        self,
        connection: Connection,
        actor: Actor | None,
        action: str,
        target: str,
        detail: Mapping[str, JSON] | None = None,
        *,
        place: Place | None = None,
    ) -> None:
        self._accounts.record(
            actor, action, target, detail=detail, place=place, connection=connection
        )
