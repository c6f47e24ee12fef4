"""How workers get to an engine that gives each of them the same address, or none."""

from __future__ import annotations

from grange.errors import Conflict, EngineError


class SharedAddress:
    """One address with credentials that all workers share: who is removed may still know it."""

    def __init__(self, address: str) -> None:
        """Give workers this URL."""
        self._address = address

    def check(self) -> None:
        """There is an engine for workers."""

    def examine(self) -> None:
        """Nobody has to be asked."""

    def issue(self, worker: str, password: str) -> str:
        """The URL that all workers get."""
        return self._address

    def revoke(self, worker: str) -> None:
        """Nothing can be taken back."""


class NoEngine:
    """What stands in where the server's engine takes no workers that join."""

    def __init__(self, engine: str) -> None:
        """Name the engine that there is."""
        self._engine = engine

    def check(self) -> None:
        """Say that workers can't join.

        Raises:
            Conflict: Always.
        """
        raise Conflict(
            f"This server's engine is {self._engine}: other machines can't join it.",
            hint="Start it with a broker: grange serve --engine amqp://USER:PASSWORD@BROKER/",
        )

    def examine(self) -> None:
        """There is nobody to ask."""

    def issue(self, worker: str, password: str) -> str:
        """Say that workers can't join.

        Raises:
            Conflict: Always.
        """
        self.check()
        return ""

    def revoke(self, worker: str) -> None:
        """There was nothing to take back."""


class Elsewhere:
    """What stands in where another process knows the engine: what is revoked, that one revokes."""

    def check(self) -> None:
        """Nobody knows it here."""

    def examine(self) -> None:
        """Nobody can be asked here."""

    def issue(self, worker: str, password: str) -> str:
        """Say that it can't be done here.

        Raises:
            EngineError: Always.
        """
        raise EngineError("Workers join at the server.", hint="Paste the line of a token there.")

    def revoke(self, worker: str) -> None:
        """Say that it can't be done here.

        Raises:
            EngineError: Always.
        """
        raise EngineError("The server does it at its next sweep.")
