"""The workers for the commands: over the API, or at the server's own machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from grange.client.schemas import workers as schemas

if TYPE_CHECKING:
    from grange.accounts.models import Actor
    from grange.client.api import Client
    from grange.pool.service import Workers
    from grange.server.crew import Crew
    from grange.settings import Settings


class WorkersOfSite(Protocol):
    """What may be done with the workers of a site; `ref` is a worker's id or name."""

    def workers(self) -> list[schemas.Worker]:
        """All workers, by name."""

    def find(self, ref: str) -> schemas.Worker:
        """One worker."""

    def change(self, ref: str, change: schemas.WorkerChange) -> schemas.Worker:
        """Rename a worker, let it drain, or let it take work again."""

    def remove(self, ref: str) -> None:
        """Remove a worker."""

    def make_token(self, new: schemas.NewWorkerToken) -> schemas.MadeWorkerToken:
        """A token by which machines may join, with the line to paste on them."""

    def tokens(self) -> list[schemas.WorkerToken]:
        """The tokens by which somebody may still join."""

    def revoke_token(self, token: str) -> None:
        """End a token."""


@contextmanager
def open_crew(settings: Settings) -> Iterator[WorkersOfSite]:
    """The workers of the server that the settings name, or of this machine's own home."""
    if settings.server is not None:
        from grange.bootstrap.remote.login import open_client

        with open_client(settings) as client:
            yield _Remote(client)
        return
    with ExitStack() as opened:
        yield _here(settings, opened)


class _Remote:
    """The workers of a server, over its API."""

    def __init__(self, client: Client) -> None:
        self._at = client.workers

    def workers(self) -> list[schemas.Worker]:
        return self._at.list_workers().items

    def find(self, ref: str) -> schemas.Worker:
        return self._at.show_worker(ref)

    def change(self, ref: str, change: schemas.WorkerChange) -> schemas.Worker:
        return self._at.change_worker(ref, change)

    def remove(self, ref: str) -> None:
        self._at.remove_worker(ref)

    def make_token(self, new: schemas.NewWorkerToken) -> schemas.MadeWorkerToken:
        return self._at.make_worker_token(new)

    def tokens(self) -> list[schemas.WorkerToken]:
        return self._at.list_worker_tokens().items

    def revoke_token(self, token: str) -> None:
        self._at.revoke_worker_token(token)


class _Operator:
    """The workers of this machine's own home, for whoever operates it."""

    def __init__(self, workers: Workers, crew: Crew, actor: Actor) -> None:
        self._workers = workers
        self._crew = crew
        self._actor = actor

    def workers(self) -> list[schemas.Worker]:
        return self._crew.all()

    def find(self, ref: str) -> schemas.Worker:
        return self._crew.one(ref)

    def change(self, ref: str, change: schemas.WorkerChange) -> schemas.Worker:
        found = self._workers.find(self._actor, ref)
        if change.name is not None:
            found = self._workers.rename(self._actor, found.id, change.name)
        if change.state is not None:
            drain = change.state == "draining"
            found = self._workers.drain(self._actor, found.id, drain=drain)
        return self._crew.told(found)

    def remove(self, ref: str) -> None:
        self._workers.remove(self._actor, ref)

    def make_token(self, new: schemas.NewWorkerToken) -> schemas.MadeWorkerToken:
        made = self._workers.make_token(
            self._actor, labels=new.labels, seconds=new.expires_seconds, uses=new.uses
        )
        token = schemas.WorkerToken.model_validate(made.token)
        return schemas.MadeWorkerToken(token=token, line=made.line)

    def tokens(self) -> list[schemas.WorkerToken]:
        return list(map(schemas.WorkerToken.model_validate, self._workers.tokens(self._actor)))

    def revoke_token(self, token: str) -> None:
        self._workers.revoke_token(self._actor, token)


def _here(settings: Settings, opened: ExitStack) -> WorkersOfSite:
    from grange.accounts.service import Accounts
    from grange.accounts.sessions import open_cache
    from grange.bootstrap.embedded import make_home, runs_of
    from grange.bootstrap.pooling import operators_workers
    from grange.db import open_database
    from grange.db.schema import prepare
    from grange.server.crew import Crew

    make_home(settings.home)
    database = open_database(settings.database)
    opened.callback(database.close)
    prepare(database)
    accounts = Accounts(database, open_cache(settings.sessions))
    opened.callback(accounts.close)
    workers = operators_workers(settings, database, accounts)
    actor = accounts.operator()
    crew = Crew(workers, runs_of(database, settings), actor, home=settings.home)
    return _Operator(workers, crew, actor)
