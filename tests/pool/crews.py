"""A site with workers under test, and the quick ways to what is usual there."""

from __future__ import annotations

from typing import Any

from grange.accounts.models import Place
from grange.accounts.secret import new_secret
from grange.db import Database
from grange.pool.access import SharedAddress
from grange.pool.models import EngineAccess, Facts, Joined, Worker
from grange.pool.service import Workers
from tests.accounts.sites import Clock, Site

HERE = Place(address="192.0.2.7", agent="grange")
ADDRESS = "amqp://all:shared@broker.example/"
SERVER = "https://server.example#"


class Crew:
    """A site, its administrator, and the workers as one process of the site sees them."""

    def __init__(self, database: Database, access: EngineAccess | None = None) -> None:
        self.database = database
        self.site = Site(database)
        self.clock = self.site.clock
        self.steady = Clock()
        self.access = access or SharedAddress(ADDRESS)
        self.workers = self.process()
        self.admin = self.site.admin()

    def process(self) -> Workers:
        """The workers as another process of the same site sees them."""
        return Workers(
            self.database,
            self.site.accounts,
            self.access,
            address=lambda: SERVER,
            clock=self.clock,
            steady=self.steady,
        )

    def token(self, **options: Any) -> str:
        """The text of a new token."""
        return self.workers.make_token(self.admin, **options).line.removeprefix(f"{SERVER}.")

    def join(self, name: str = "rack-1", *, token: str = "", secret: str = "") -> Joined:
        """Let a machine join."""
        facts = Facts(name=name, capacity={"slots": 4, "cores": 8.0}, version="0.1.0")
        return self.workers.join(token or self.token(), secret or new_secret(), facts, HERE)

    def joined(self, name: str = "rack-1") -> tuple[Worker, str]:
        """A machine that has joined, and its key."""
        secret = new_secret()
        worker = self.join(name, secret=secret).worker
        return worker, f"grangeworker_{worker.id}_{secret}"

    def said(self) -> list[tuple[str, str]]:
        """Who did what to workers by the audit log, the oldest first."""
        lines = self.site.accounts.audit(self.admin, action="worker").items
        return [(line.who, line.action) for line in reversed(lines)]
