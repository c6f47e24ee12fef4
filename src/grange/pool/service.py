"""The workers of a site: everything that others may ask of them, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grange.accounts.models import Actor, Role
from grange.errors import EngineError, NotAllowed
from grange.pool import rows, tokens
from grange.pool.joining import Joining
from grange.pool.models import Presence, Worker, WorkerState

if TYPE_CHECKING:
    from sqlalchemy import Connection

DAY_SECONDS = 86_400.0
# For so long people see what became of a machine that is gone, and is one removed kept.
GONE_KEPT_SECONDS = 90 * DAY_SECONDS
REMOVED_KEPT_SECONDS = 30 * DAY_SECONDS
# Before a machine is removed that by the clock is gone for so long, this very process has waited
# so long for a sign of it: a clock that is wrong takes no machine away.
WATCHED_SECONDS = DAY_SECONDS / 4
# An engine that did not answer is left alone for so long: nobody waits for it again and again.
AWAY_SECONDS = 60.0


class Workers(Joining):
    """What may be done with workers, by people and by themselves. All methods block.

    Many threads and processes may use it at once. Of beats the newest is known to this
    process at once, and to others within seconds; everything else holds everywhere as
    soon as it is done, but that a removed worker may be believed for two more seconds.
    """

    def workers(self, actor: Actor) -> list[Worker]:
        """The workers that were not removed, by name.

        Raises:
            NotAllowed: The actor is a viewer.
        """
        _check_member(actor)
        return self.all()

    def all(self) -> list[Worker]:
        """The same for the server itself, which asks in nobody's name."""
        with self._database.read() as connection:
            return self._beats.newest(rows.every(connection))

    def find(self, actor: Actor, ref: str) -> Worker:
        """The worker of an id or a name.

        Raises:
            NotAllowed: The actor is a viewer.
            WorkerNotFound: There is none, or there are several of this name.
        """
        _check_member(actor)
        with self._database.read() as connection:
            return self._beats.newest([rows.find(connection, ref)])[0]

    def drain(self, actor: Actor, ref: str, *, drain: bool = True) -> Worker:
        """Let a worker finish what it holds and take nothing new, or take work again.

        Raises:
            NotAllowed: The actor is no administrator.
            WorkerNotFound: There is no such worker.
        """
        state = WorkerState.DRAINING if drain else WorkerState.ACTIVE
        return self._change(
            actor, ref, "worker.drained" if drain else "worker.resumed", state=state
        )

    def rename(self, actor: Actor, ref: str, name: str) -> Worker:
        """Give a worker another name.

        Raises:
            NotAllowed: The actor is no administrator.
            WorkerNotFound: There is no such worker.
            NameTaken: Another one is called so.
        """
        return self._change(actor, ref, "worker.renamed", name=name)

    def remove(self, actor: Actor, ref: str) -> Worker:
        """Remove a worker: its credentials open nothing any longer, here and at the engine.

        What it holds is given to others once its leases end. An engine that can't be asked
        now is asked again later, by `sweep`.

        Raises:
            NotAllowed: The actor is no administrator.
            WorkerNotFound: There is no such worker.
        """
        now = self._clock()
        removed = self._change(
            actor, ref, "worker.removed", state=WorkerState.REMOVED, removed_at=now
        )
        self._revoke([removed.id])
        return removed

    def sweep(self) -> None:
        """Delete what is long over, and let the engine forget whom it should."""
        now = self._clock()
        self._beats.flush(now=now)

        def work(connection: Connection) -> list[str]:
            tokens.sweep(connection, now=now)
            rows.sweep(connection, removed=now - REMOVED_KEPT_SECONDS)
            before = now - GONE_KEPT_SECONDS
            watched = self._watched(rows.unseen(connection, before))
            rows.remove_unseen(connection, watched, before, now=now)
            return rows.to_forget(connection)

        self._revoke(self._database.transact(work))
        if self.trouble:
            self.examine()

    def _watched(self, gone: Sequence[str]) -> list[str]:
        """Of those that are gone now, the ones that have been for a while, whatever the clock says.

        It may be done again after a transaction that failed.
        """
        steady = self._steady()
        self._gone = {worker: self._gone.get(worker, steady) for worker in gone}
        return [one for one, since in self._gone.items() if steady - since >= WATCHED_SECONDS]

    def close(self) -> None:
        """Write down the beats that this process alone knows of."""
        self._beats.flush(now=self._clock())

    def now(self) -> float:
        """The time by which presence is judged."""
        return self._clock()

    def presence(self, worker: Worker) -> Presence:
        """Whether a worker is up, silent or gone."""
        return worker.presence(self._clock())

    def _change(self, actor: Actor, ref: str, action: str, **values: object) -> Worker:
        self._accounts.require_admin(actor, action, f"worker {ref}")

        def work(connection: Connection) -> Worker:
            worker = rows.change(connection, rows.find(connection, ref), **values)
            detail = {"name": worker.name}
            self._record(connection, actor, action, f"worker {worker.id}", detail)
            return worker

        changed = self._database.transact(work)
        self._trusted.clear()
        return self._beats.newest([changed])[0]

    def _revoke(self, removed: Sequence[str]) -> None:
        """Let the engine forget workers; one that did not answer lately is not asked again yet."""
        done = []
        if self._clock() < self._revoke_at:
            return
        for worker in removed:
            try:
                self._access.revoke(worker)
            except EngineError:
                self._revoke_at = self._clock() + AWAY_SECONDS
                break  # A later sweep asks it again.
            done.append(worker)
        if done:
            self._database.transact(lambda connection: rows.forgotten(connection, done))


def _check_member(actor: Actor) -> None:
    if actor.user.role is Role.VIEWER:
        raise NotAllowed("Viewers don't see the workers.", hint="Ask an administrator.")
