"""The pages by what they are about; each module has a router of its own."""

from __future__ import annotations

from fastapi import APIRouter


def routers() -> list[APIRouter]:
    """All of them, in the order in which addresses are looked up."""
    from grange.server.web.pages import (
        entrance,
        groups,
        me,
        old,
        overview,
        people,
        runs,
        runs_detail,
        runs_items,
        runs_new,
        runs_review,
        several,
        site,
        theme,
        workers,
    )

    return [
        theme.router,
        entrance.router,
        overview.router,
        groups.router,
        # Before those that take what follows /people/ for a person.
        several.router,
        people.router,
        me.router,
        workers.router,
        site.router,
        runs.router,
        # Before those that take what follows /runs/ for a run.
        runs_new.router,
        runs_items.router,
        runs_review.router,
        runs_detail.router,
        old.router,
    ]
