"""The HTTP API under /api/v1: thin routers, one document."""

from __future__ import annotations

from fastapi import APIRouter

from grange.server.api import (
    audit,
    events,
    exports,
    folders,
    groups,
    items,
    metrics,
    models,
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
    work,
    workers,
)

# Asked one after another for each request: those first that are asked most.
ROUTERS: tuple[APIRouter, ...] = (
    runs.router,
    items.router,
    events.router,
    outputs.router,
    work.router,
    exports.router,
    uploads.router,
    folders.router,
    session.router,
    pipelines.router,
    models.router,
    system.router,
    metrics.router,
    shares.router,
    setup.router,
    users.router,
    workers.router,
    groups.router,
    tokens.router,
    audit.router,
)
