"""The workers of a site, with who may: joining, beats, draining, removing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol

from grange.accounts.models import Actor, Place, Role
from grange.accounts.secret import derived, digest
from grange.errors import (
    CredentialsInvalid,
    EngineError,
    NotAllowed,
    ProtocolMismatch,
)
from grange.pool import rows, tokens
from grange.pool.models import (
    JSON,
    PROTOCOL,
    EngineAccess,
    Facts,
    Joined,
    MadeWorkerToken,
    Orders,
    Presence,
    Probe,
    Worker,
    WorkerState,
    WorkerToken,
    misfit,
)
from grange.pool.presence import Beats

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from grange.db import Database

KEY_PREFIX = "grangeworker"
KEY_PARTS = 3
LONGEST_KEY = 200
DAY_SECONDS = 86_400.0
# For so long people see that a worker was removed, and what became of a machine that is gone.
REMOVED_KEPT_SECONDS = 30 * DAY_SECONDS
GONE_KEPT_SECONDS = 90 * DAY_SECONDS
# For how long this process may not know what another one did to a worker.
TRUST_SECONDS = 2.0
_VERSION = version("grange")


class Accounts(Protocol):
    """What is asked of the accounts."""

    def record(self, actor: Actor | None, action: str, target: str = "", **more: Any) -> None:  # noqa: ANN401  # as `Accounts.record` has it
        """Write a line of the audit log."""

    def require_admin(self, actor: Actor, action: str, target: str = "") -> None:
        """Refuse whoever is no administrator."""


class Workers:
    """What may be done with workers, by people and by themselves. All methods block.

    Many threads and processes may use it at once. Of beats the newest is known to this
    process at once, and to others within seconds; everything else holds everywhere as
    soon as it is done, but that a removed worker may be believed for two more seconds.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        access: EngineAccess,
        *,
        address: Callable[[], str] = lambda: "",
        probes: Callable[[], Sequence[Probe]] = lambda: (),
        clock: Callable[[], float] = time.time,
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
        """
        self._database = database
        self._accounts = accounts
        self._access = access
        self._address = address
        self._probes = probes
        self._clock = clock
        self._beats = Beats(database)
        self._trusted: dict[str, tuple[Worker, float]] = {}

    # ---- tokens

    def make_token(
        self, actor: Actor, *, labels: Sequence[str] = (), seconds: float = 900.0, uses: int = 1
    ) -> MadeWorkerToken:
        """Make a token by which so many machines may join; its line is told here and never again.

        Raises:
            NotAllowed: The actor is no administrator.
            RequestInvalid: It would live for too long, or serve too many.
            Conflict: There are too many tokens.
        """
        self._accounts.require_admin(actor, "worker.token.made")

        def work(connection: Connection) -> tuple[WorkerToken, str]:
            made = tokens.make(
                connection, actor, labels, seconds=seconds, uses=uses, now=self._clock()
            )
            detail = {"labels": list(labels), "uses": uses, "expires_at": made[0].expires_at}
            self._record(connection, actor, "worker.token.made", f"token {made[0].id}", detail)
            return made

        token, text = self._database.transact(work)
        return MadeWorkerToken(token=token, line=f"{self._address()}.{text}")

    def tokens(self, actor: Actor) -> list[WorkerToken]:
        """The tokens by which somebody may still join, the newest first.

        Raises:
            NotAllowed: The actor is no administrator.
        """
        self._accounts.require_admin(actor, "worker.token.listed")
        with self._database.read() as connection:
            return tokens.every(connection, now=self._clock())

    def revoke_token(self, actor: Actor, token: str) -> None:
        """End a token; who has joined by it stays.

        Raises:
            NotAllowed: The actor is no administrator.
            TokenNotFound: There is none of this id.
        """
        target = f"token {token}"
        self._accounts.require_admin(actor, "worker.token.revoked", target)

        def work(connection: Connection) -> None:
            tokens.revoke(connection, token)
            self._record(connection, actor, "worker.token.revoked", target)

        self._database.transact(work)

    # ---- what workers ask

    def join(self, token: str, secret: str, facts: Facts, place: Place) -> Joined:
        """Take a machine in, by a token and a secret that it has made itself.

        The same token and secret again, after an answer that got lost, find the same worker.

        Raises:
            ProtocolMismatch: Its version can't work with this one.
            CredentialsInvalid: The token is unknown, used up or over.
            EngineError: The engine can't be asked for credentials; ask again with the same secret.
        """
        self._check_fit(facts)
        key = digest(secret)

        def work(connection: Connection) -> Worker:
            found = tokens.known(connection, token)
            earlier = rows.joined_before(connection, key, found.id)
            if earlier is not None:
                return earlier
            now = self._clock()
            tokens.use(connection, found, now=now)
            joined = rows.add(connection, facts, found, key=key, address=place.address, now=now)
            detail = {"name": joined.name, "token": found.id, "system": joined.system}
            target = f"worker {joined.id}"
            self._record(connection, None, "worker.joined", target, detail, place=place)
            return joined

        return self._equipped(self._database.transact(work), secret)

    def renew(self, worker: Worker, key: str) -> Joined:
        """The same as at joining, with credentials that the engine knows by now.

        For a worker that starts again, and for one that the engine does not know any longer.

        Raises:
            EngineError: The engine can't be asked.
        """
        return self._equipped(worker, key.rpartition("_")[2])

    @staticmethod
    def is_key(text: str) -> bool:
        """Whether a text looks like a worker's key, rather than like a person's token."""
        return text.startswith(f"{KEY_PREFIX}_")

    def worker_of(self, key: str) -> Worker:
        """Which worker has this key, `grangeworker_<id>_<secret>`.

        Raises:
            CredentialsInvalid: None, or one that was removed.
        """
        now = self._clock()
        hashed = digest(key[: LONGEST_KEY + 1])
        worker, until = self._trusted.get(hashed, (None, 0.0))
        if worker is None or not until - TRUST_SECONDS <= now < until:
            worker = self._read_key(key)
            if len(self._trusted) > rows.MOST_WORKERS:
                self._trusted.clear()
            self._trusted[hashed] = (worker, now + TRUST_SECONDS)
        return worker

    def beat(self, worker: Worker, said: Mapping[str, JSON]) -> Orders:
        """Note that a worker is there and what it does; the answer says what is wanted of it."""
        self._beats.put(worker, said, now=self._clock())
        return Orders(
            state=worker.state,
            misfit=misfit(
                int(said.get("protocol", PROTOCOL)),
                str(said.get("version", "")),
                server_version=_VERSION,
            ),
        )

    # ---- what people ask

    def workers(self, actor: Actor) -> list[Worker]:
        """The workers that were not removed, by name.

        Raises:
            NotAllowed: The actor is a viewer.
        """
        _check_member(actor)
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
        return self._change(actor, ref, "worker.drained" if drain else "worker.resumed", state=state)

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
            rows.sweep(
                connection, removed=now - REMOVED_KEPT_SECONDS, gone=now - GONE_KEPT_SECONDS, now=now
            )
            return rows.to_forget(connection)

        self._revoke(self._database.transact(work))

    def close(self) -> None:
        """Write down the beats that this process alone knows of."""
        self._beats.flush(now=self._clock())

    def now(self) -> float:
        """The time by which presence is judged."""
        return self._clock()

    def presence(self, worker: Worker) -> Presence:
        """Whether a worker is up, silent or gone."""
        return worker.presence(self._clock())

    # ---- inside

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

    def _read_key(self, key: str) -> Worker:
        parts = key.split("_")
        worker = None
        if len(parts) == KEY_PARTS and parts[0] == KEY_PREFIX and len(key) <= LONGEST_KEY:
            with self._database.read() as connection:
                worker = rows.of_key(connection, parts[1], digest(parts[2]))
        if worker is None or worker.state is WorkerState.REMOVED:
            raise CredentialsInvalid(
                "The worker is not known here, or was removed.",
                hint="Let it join again: make a token with grange workers token",
            )
        return worker

    def _equipped(self, worker: Worker, secret: str) -> Joined:
        # Made of the worker's own secret, so that nobody else can tell it and nothing is kept.
        password = derived(secret, "engine")
        with self._database.write() as connection:
            rows.change(connection, worker, known_to_engine=1)
        engine = self._access.issue(worker.id, password)
        return Joined(worker=worker, engine=engine, probes=tuple(self._probes()))

    def _revoke(self, removed: Sequence[str]) -> None:
        done = []
        for worker in removed:
            try:
                self._access.revoke(worker)
            except EngineError:
                break  # It is asked again at the next sweep.
            done.append(worker)
        if done:
            self._database.transact(lambda connection: rows.forgotten(connection, done))

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

    def _check_fit(self, facts: Facts) -> None:
        reason = misfit(facts.protocol, facts.version, server_version=_VERSION)
        if reason:
            raise ProtocolMismatch(reason, hint="Install the same version of Grange on both.")


def _check_member(actor: Actor) -> None:
    if actor.user.role is Role.VIEWER:
        raise NotAllowed("Viewers don't see the workers.", hint="Ask an administrator.")
