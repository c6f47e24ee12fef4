"""How machines join, and what they say from then on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING

from grange.accounts.models import Actor, Place
from grange.accounts.secret import derived, digest
from grange.errors import (
    Conflict,
    CredentialsInvalid,
    EngineError,
    GrangeError,
    ProtocolMismatch,
)
from grange.pool import rows, tokens
from grange.pool.basis import Basis
from grange.pool.models import (
    JSON,
    PROTOCOL,
    Facts,
    Joined,
    MadeWorkerToken,
    Orders,
    Worker,
    WorkerState,
    WorkerToken,
    misfit,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("grange.server")

KEY_PREFIX = "grangeworker"
KEY_PARTS = 3
LONGEST_KEY = 200
LONGEST_ADDRESS = 64
# For how long this process may not know what another one did to a worker.
TRUST_SECONDS = 2.0
_VERSION = version("grange")


class Joining(Basis):
    """Tokens for machines, and what a machine asks by one, and then by a key of its own."""

    # ---- tokens

    def is_joinable(self) -> bool:
        """Whether this server has an engine that other machines can join."""
        try:
            self._access.check()
        except Conflict:
            return False
        return True

    def examine(self) -> None:
        """See whether workers can be given credentials; what is in the way becomes `trouble`."""
        try:
            self._access.examine()
            self.trouble = None
        except EngineError as error:
            self.trouble = error
            log.warning("no machine can join: %s %s", error.message, error.hint)

    def make_token(
        self, actor: Actor, *, labels: Sequence[str] = (), seconds: float = 900.0, uses: int = 1
    ) -> MadeWorkerToken:
        """Make a token by which so many machines may join; its line is told here and never again.

        Raises:
            NotAllowed: The actor is no administrator.
            RequestInvalid: It would live for too long, or serve too many.
            Conflict: There are too many tokens, or this server has no engine for workers.
        """
        self._accounts.require_admin(actor, "worker.token.made")
        self._access.check()

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
            EngineError: The engine can't be asked for credentials; nothing has happened then.
        """
        _check_fit(facts)
        key = digest(secret)
        # Whoever tries tokens at random takes nobody's turn to write.
        with self._database.read() as reading:
            tokens.known(reading, token)

        def work(connection: Connection) -> tuple[Worker, bool]:
            found = tokens.known(connection, token, lock=True)
            earlier = rows.joined_before(connection, key, found.id)
            if earlier is not None:
                return earlier, False
            now = self._clock()
            tokens.use(connection, found, now=now)
            joined = rows.add(connection, facts, found, key=key, address=place.address, now=now)
            detail = {"name": joined.name, "token": found.id, "system": joined.system}
            target = f"worker {joined.id}"
            self._record(connection, None, "worker.joined", target, detail, place=place)
            return joined, True

        joined, is_new = self._database.transact(work)
        try:
            return self._equipped(joined, secret)
        except GrangeError:
            if is_new:
                self._undo(joined, token, place)
            raise

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

    def beat(self, worker: Worker, said: Mapping[str, JSON], place: Place | None = None) -> Orders:
        """Note that a worker is there and what it does; the answer says what is wanted of it."""
        address = place.address[:LONGEST_ADDRESS] if place else worker.address
        self._beats.put(worker, {**said, "address": address}, now=self._clock())
        return Orders(
            state=worker.state,
            beat_seconds=self._beats.beat_seconds(),
            misfit=misfit(
                int(said.get("protocol", PROTOCOL)),
                str(said.get("version", "")),
                server_version=_VERSION,
            ),
        )

    def _undo(self, joined: Worker, token: str, place: Place) -> None:
        """Take back that a machine has joined, since it can do nothing."""

        def work(connection: Connection) -> None:
            rows.drop(connection, joined)
            tokens.give_back(connection, token.partition(".")[0])
            detail = {"name": joined.name}
            target = f"worker {joined.id}"
            self._record(connection, None, "worker.join.undone", target, detail, place=place)

        self._database.transact(work)
        with suppress(EngineError):  # Half of it may have been done there.
            self._access.revoke(joined.id)

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
        self.trouble = None
        return Joined(worker=worker, engine=engine, probes=tuple(self._probes()))


def _check_fit(facts: Facts) -> None:
    reason = misfit(facts.protocol, facts.version, server_version=_VERSION)
    if reason:
        raise ProtocolMismatch(reason, hint="Install the same version of Grange on both.")
