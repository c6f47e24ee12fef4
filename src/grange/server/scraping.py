"""What of this site can be scraped, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from grange.pool.models import WorkerState
from grange.telemetry.nodes import node_port
from grange.telemetry.targets import JSON, Machine, Place, groups, port_of

if TYPE_CHECKING:
    from grange.pool.models import Worker
    from grange.server.parts import Parts

MISSED_SECONDS = 86_400.0


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
        node_port=node_port(settings.node_port),
        engine=settings.engine,
    )
    return groups(place, machines(parts))


def machines(parts: Parts) -> list[Machine]:
    """The machines of the pool.

    Of what a worker says only ports are believed: it is scraped where it is heard from,
    so that none can send a scraper to somebody else.
    """
    return [
        Machine(
            name=one.name,
            address=one.address,
            metrics_port=port_of(one.metrics_url),
            node_port=int(one.beat.get("node_port") or 0),
        )
        for one in expected(parts)
    ]


def expected(parts: Parts) -> list[Worker]:
    """The workers that should be there: all but those that said that they leave.

    One that fell silent is missed for a day; then it counts as taken away.
    """
    since = parts.workers.now() - MISSED_SECONDS
    return [
        one
        for one in parts.workers.all()
        if one.state is not WorkerState.REMOVED
        and not one.beat.get("leaving")
        and one.seen_at > since
    ]
