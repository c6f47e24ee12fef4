"""How the site does: in one word for everyone, in full for administrators."""

from __future__ import annotations

from importlib.metadata import version

from grange.client.schemas.system import Health, System
from grange.server import condition
from grange.server.api.basis import Router
from grange.server.visitors import Administrator, Here

router = Router(tags=["system"])

_HEALTH = Health(version=version("grange"))


@router.get("/health")
async def show_health() -> Health:
    """Whether the server answers: it touches nothing else, and is there for everyone."""
    return _HEALTH


@router.get("/system")
def show_system(_admin: Administrator, here: Here) -> System:
    """Version, database, disk, streams, queue, and what should be looked at."""
    return condition.examine(here)
