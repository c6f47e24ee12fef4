"""Which worker is asking: its key becomes the worker that has it, here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from grange.errors import NotAllowed
from grange.pool.models import Worker
from grange.server import visitors


async def working(request: Request) -> Worker:
    """The worker that asks.

    Raises:
        NotAuthenticated: The request brings no worker's key, or one that opens nothing.
        NotAllowed: It is a person or a program that asks.
    """
    workers = visitors.parts(request).workers
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and workers.is_key(key.strip()):
        return await run_in_threadpool(workers.worker_of, key.strip())
    await visitors.visit(request)
    raise NotAllowed(
        "This is for workers.", hint="Let a machine join: make a token with grange workers token"
    )


Working = Annotated[Worker, Depends(working)]
