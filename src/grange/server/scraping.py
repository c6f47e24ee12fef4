"""What of this site can be scraped, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from grange.telemetry.nodes import node_port
from grange.telemetry.targets import JSON, Machine, Place, groups

if TYPE_CHECKING:
    from grange.server.parts import Parts


def targets(parts: Parts, *, host: str, scheme: str) -> list[JSON]:
    """All targets of this site.

    `host` and `scheme` are how whoever asks has reached the server: so it is reached again.
    """
    settings = parts.settings
    public = urlsplit(settings.public_url or "")
    place = Place(
        host=host,
        # A proxy that speaks HTTPS hands requests on without it.
        scheme=public.scheme if public.netloc == host else scheme,
        node_port=node_port(settings.node_port) if settings.node_port else 0,
        engine=settings.engine,
    )
    return groups(place, machines(parts))


def machines(parts: Parts) -> list[Machine]:
    """The machines of the pool that are not gone."""
    return []
