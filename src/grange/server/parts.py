"""What the server is wired from: one object, made by the composition root, held by the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grange.telemetry.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

    from grange.accounts.service import Accounts
    from grange.accounts.sessions import SessionCache
    from grange.db import Database
    from grange.engines.base import Health
    from grange.pool.service import Workers
    from grange.runs.handing import Handing
    from grange.runs.service import Runs
    from grange.server.events import Hub
    from grange.settings import Settings
    from grange.uploads.service import Uploads


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The services behind the API and the pages. Routers reach them through `visitors` alone."""

    settings: Settings
    database: Database
    accounts: Accounts
    cache: SessionCache
    runs: Runs
    handing: Handing  # bytes for workers that share no disk with the server
    workers: Workers
    uploads: Uploads
    hub: Hub
    outputs: Path  # below it, each run of the server has a folder for its results
    wake: Callable[[], None]  # tells whoever drives runs that there may be something to do
    started_at: float
    url: str  # the address under which people reach the server, for links
    is_driven: Callable[[], bool]  # whether somebody who drives runs is alive
    engine_health: Callable[[], Health | None]  # how the engine stands, where somebody says
    tally: Tally = field(default_factory=Tally)  # what this process counts of its requests
