"""Workers: how a machine joins and what it says, and what people may do with the workers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from grange.client.connection import Connection
from grange.client.paging import quoted
from grange.client.pinning import pinned
from grange.client.schemas.basis import Page
from grange.client.schemas.workers import (
    Beat,
    Facts,
    Joined,
    Joining,
    MadeWorkerToken,
    NewWorkerToken,
    Orders,
    Worker,
    WorkerChange,
    WorkerToken,
)
from grange.errors import RequestInvalid, ServerUntrusted

_LINE = re.compile(r"(?P<server>https?://[^\s#]+)#(?P<pin>[0-9a-f]{64})?\.(?P<token>\w{10}\.\w+)")

_RENEWED = (
    "Its certificate is not the one that the line was made with. If it was exchanged, make a new "
    "line: grange workers token. If not, somebody is in between."
)
_UNKNOWN = "If its certificate is your own, name its file: SSL_CERT_FILE=cert.pem grange worker …"


@dataclass(frozen=True, kw_only=True)
class JoinLine:
    """The line of `grange workers token`: where, whom to believe, and by what one may join."""

    server: str
    pin: str = ""  # the SHA-256 of the server's certificate; empty where the usual rules hold
    token: str = field(repr=False)


def parse_line(text: str) -> JoinLine:
    """Take a pasted line apart.

    Raises:
        RequestInvalid: It is none.
    """
    found = _LINE.fullmatch(text.strip().strip("'\""))
    if found is None:
        raise RequestInvalid(
            "This is no line of grange workers token.",
            hint="Paste all of it, in quotation marks: the shell must not read its # itself.",
        )
    return JoinLine(
        server=found["server"].rstrip("/"), pin=found["pin"] or "", token=found["token"]
    )


@dataclass(frozen=True, kw_only=True)
class Membership:
    """What a worker keeps, for its owner's eyes alone, to come back by; and what it was given."""

    server: str
    pin: str
    key: str = field(repr=False)
    joined: Joined = field(repr=False)


def join(line: str, facts: Facts, *, secret: str, ca: Path | None = None) -> Membership:
    """Let this machine join by a pasted line.

    Args:
        line: What `grange workers token` has printed.
        facts: What the machine says of itself.
        secret: 32 letters and digits or more, new for this worker and kept nowhere else. With the
            same one this may be repeated after an answer that got lost.
        ca: Certificates to believe instead of the usual ones, where the line names none.

    Raises:
        RequestInvalid: The line is none.
        CredentialsInvalid: The token is unknown, used up or over.
        ProtocolMismatch: The versions can't work together.
        EngineError: The server can't give credentials for its engine now.
        ServerUnreachable, ServerUntrusted: There is no server, or it is another one.
    """
    told = parse_line(line)
    try:
        with _connect(told.server, pin=told.pin, ca=ca) as connection:
            body = Joining(token=told.token, secret=secret, facts=facts)
            # A repeat of it finds what the first one made, by the secret.
            joined = connection.post(Joined, "workers/join", body, key=f"join-{told.token[:10]}")
    except ServerUntrusted as error:
        # Nobody logs in here, so there is no place to name a file of certificates.
        hint = _RENEWED if told.pin else _UNKNOWN
        raise ServerUntrusted(error.message, hint=hint) from error
    key = f"grangeworker_{joined.worker}_{secret}"
    return Membership(server=told.server, pin=told.pin, key=key, joined=joined)


class Me:
    """The server as a worker speaks to it, by its key. Safe to use from several threads."""

    def __init__(self, server: str, key: str, *, pin: str = "", ca: Path | None = None) -> None:
        """Name the server and the key of a `Membership`; nothing is sent yet.

        With a pin the server is believed by that certificate, or by the usual rules: its
        certificate may have been renewed since.

        Raises:
            ServerUnreachable: With a pin, the server's certificate is looked at now.
        """
        self.connection = _connect(server, token=key, pin=pin, ca=ca)

    def renew(self) -> Joined:
        """Everything as at joining, with credentials that the engine knows by now.

        For after a start, and when the engine refuses those that one has.

        Raises:
            CredentialsInvalid: The worker was removed.
        """
        return self.connection.post(Joined, "workers/me/renew", key="renew")

    def beat(self, said: Beat) -> Orders:
        """Say that one is there and what one does; hear what is wanted.

        Raises:
            CredentialsInvalid: The worker was removed.
        """
        return self.connection.post(Orders, "workers/me/beat", said)

    def close(self) -> None:
        """Let go of the server."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Workers:
    """What the API says of workers, and does with them."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection."""
        self._at = connection

    def list_workers(self) -> Page[Worker]:
        """All workers, with what each does now."""
        return self._at.get(Page[Worker], "workers")

    def show_worker(self, worker: str) -> Worker:
        """The worker of an id or a name."""
        return self._at.get(Worker, f"workers/{quoted(worker)}")

    def change_worker(self, worker: str, change: WorkerChange) -> Worker:
        """Rename a worker, let it drain, or let it take work again."""
        return self._at.patch(Worker, f"workers/{quoted(worker)}", change)

    def remove_worker(self, worker: str) -> None:
        """Remove a worker: its credentials open nothing any longer."""
        self._at.send("DELETE", f"workers/{quoted(worker)}")

    def list_worker_tokens(self) -> Page[WorkerToken]:
        """The tokens by which machines may still join."""
        return self._at.get(Page[WorkerToken], "workers/tokens")

    def make_worker_token(self, new: NewWorkerToken, *, key: str | None = None) -> MadeWorkerToken:
        """A token by which machines may join, and the line to paste on them."""
        return self._at.post(MadeWorkerToken, "workers/tokens", new, key=key)

    def revoke_worker_token(self, token: str) -> None:
        """End a token; who has joined by it stays."""
        self._at.send("DELETE", f"workers/tokens/{quoted(token)}")


def _connect(
    server: str,
    *,
    token: str | None = None,
    pin: str = "",
    ca: Path | None = None,
) -> Connection:
    trust = pinned(server, pin) if pin else None
    return Connection(server, token=token, ca=ca, trust=trust)
