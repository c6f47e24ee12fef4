"""The HTTP API under /api/v1: thin routers, one document."""

from __future__ import annotations

from fastapi import APIRouter

from grange.server.api import (
    audit,
    events,
    folders,
    groups,
    items,
    outputs,
    pipelines,
    runs,
    session,
    setup,
    shares,
    system,
    tokens,
    uploads,
    users,
)

ROUTERS: tuple[APIRouter, ...] = (
    setup.router,
    session.router,
    users.router,
    groups.router,
    tokens.router,
    audit.router,
    system.router,
    pipelines.router,
    runs.router,
    items.router,
    outputs.router,
    events.router,
    uploads.router,
    folders.router,
    shares.router,
)
