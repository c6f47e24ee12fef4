"""Beside what the server's rate is measured: python -m benchmarks.bare DATABASE.

FastAPI as its tutorial shows it, over the same database and tables: SQLAlchemy
Core, a plain `def` for each endpoint, the same models for the same answers,
uvicorn with the same loop and parser. Nobody is asked who they are, and there
is no middleware. It prints its port, as `grange serve --json` does.
"""

from __future__ import annotations

import json
import socket
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException
from sqlalchemy import Engine, Row, create_engine, select

from grange.client.schemas.basis import Page
from grange.client.schemas.runs import Counts, Run
from grange.runs.tables import runs


def make_app(engine: Engine) -> FastAPI:
    """Two endpoints."""
    app = FastAPI()

    @app.get("/runs/{run}")
    def show_run(run: str) -> Run:
        with engine.connect() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run)).first()
        if row is None:
            raise HTTPException(404)
        return _run(row)

    @app.get("/runs")
    def list_runs(limit: int = 50) -> Page[Run]:
        newest = select(runs).order_by(runs.c.created_at.desc(), runs.c.number.desc())
        with engine.connect() as connection:
            rows = connection.execute(newest.limit(limit)).all()
        return Page[Run](items=[_run(row) for row in rows], next=str(rows[-1].number))

    return app


def _run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        name=row.name,
        state=row.state,
        owner=row.owner,
        group=row.shared_with or "",
        priority=row.priority,
        pipeline=row.pipeline,
        version=row.version,
        params=row.params,
        models=row.models,
        inputs=row.inputs,
        retries=row.retries,
        timeout_seconds=row.timeout_seconds,
        note=row.note,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=Counts(
            total=row.items_total,
            done=row.items_done,
            failed=row.items_failed,
            cancelled=row.items_cancelled,
            reused=row.items_reused,
        ),
        bytes_total=row.bytes_total,
    )


def main() -> None:
    """Serve until SIGTERM."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}"}), flush=True)
    app = make_app(create_engine(sys.argv[1].replace("postgresql://", "postgresql+psycopg://")))
    config = uvicorn.Config(app, loop="uvloop", http="httptools", log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
