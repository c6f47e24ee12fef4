"""The client: every operation of the API as a typed method, by topic."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from grange.client.accounts import Accounts
from grange.client.connection import Connection
from grange.client.files import Files
from grange.client.models import Models
from grange.client.runs import Runs
from grange.client.system import System
from grange.client.workers import Workers


class Client:
    """A server's API. Safe to use from several threads at once."""

    def __init__(self, server: str, *, token: str | None = None, ca: Path | None = None) -> None:
        """Name the server; nothing is sent yet."""
        self.connection = Connection(server, token=token, ca=ca)
        self.accounts = Accounts(self.connection)
        self.runs = Runs(self.connection)
        self.files = Files(self.connection)
        self.models = Models(self.connection)
        self.system = System(self.connection)
        self.workers = Workers(self.connection)

    @property
    def server(self) -> str:
        """The server's URL."""
        return self.connection.server

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
