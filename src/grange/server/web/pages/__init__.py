"""The pages by what they are about; each module has a router of its own."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """All of them, in the order in which addresses are looked up."""
    from grange.server.web.pages import entrance, groups, me, people, site, theme

    return [
        theme.router,
        entrance.router,
        groups.router,
        people.router,
        me.router,
        site.router,
    ]
