"""How the server does."""

from __future__ import annotations

from grange.client.connection import Connection
from grange.client.schemas.system import Health, Targets
from grange.client.schemas.system import System as SystemState


class System:
    """What the API says of itself."""

    def __init__(self, connection: Connection) -> None:
        """Speak over this connection."""
        self._at = connection

    def show_health(self) -> Health:
        """Whether it answers, and of which version it is; anyone may ask."""
        return self._at.get(Health, "health")

    def show_system(self) -> SystemState:
        """How the site does, for administrators."""
        return self._at.get(SystemState, "system")

    def list_targets(self, kind: str | None = None) -> Targets:
        """What Prometheus may scrape, of one kind if that is given: with the scope `metrics`."""
        return self._at.get(Targets, "prometheus/targets", {"kind": kind})
