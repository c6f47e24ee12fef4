"""The accounts of a site: everything that others may ask of them, in one object."""

from __future__ import annotations

from sqlalchemy import Connection

from grange.accounts import keys, limits, people, tokens, visits
from grange.accounts.auditing import Auditing
from grange.accounts.entrance import Entrance
from grange.accounts.groups import Groups
from grange.accounts.models import Actor
from grange.accounts.repeats import Repeats
from grange.accounts.standing import Standing
from grange.accounts.tokens import Tokens
from grange.accounts.users import Users


class Accounts(Entrance, Tokens, Users, Groups, Standing, Auditing):
    """Who may do what. Each base class is a topic, and they know each other's tables alone.

    Many threads and processes may use it at once. Whatever changes accounts is written
    to the audit log in the same transaction, and holds at once for what is open: in this
    process and wherever the cache is shared, elsewhere within seconds.
    """

    @staticmethod
    def operator() -> Actor:
        """Whoever runs commands on the server's own machine, without logging in."""
        return people.operator()

    def site(self) -> str:
        """What tells this site's database from every other one."""
        return self.recall.site()

    def sweep(self) -> None:
        """Delete what is over: sessions, keys, failed logins, tokens and requests of long ago."""
        now = self.clock()

        def work(connection: Connection) -> None:
            for topic in (visits, keys, limits, tokens):
                topic.sweep(connection, now=now)

        self.change(work)
        Repeats(self.database, clock=self.clock).sweep()

    def close(self) -> None:
        """Close the cache; the database is its opener's to close."""
        self.recall.close()
