"""Bytes from the network to an upload: taken in while the ones before are written and hashed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Sequence
from concurrent.futures import Executor

CHUNK_BYTES = 1 << 20
# Clients that send byte by byte must not fill the memory with little objects.
MOST_PIECES = 1024

Write = Callable[[Sequence[bytes]], None]


async def receive(pieces: AsyncIterable[bytes], write: Write, threads: Executor) -> None:
    """Write all pieces, about a mebibyte at a time, in a thread.

    At most two such chunks are in memory: no more is asked for before the first
    is written. What came before the pieces broke off is written too, and then
    the reason passes.
    """
    loop = asyncio.get_running_loop()
    writing: asyncio.Future[None] | None = None
    waiting: list[bytes] = []
    size = 0
    try:
        async for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= CHUNK_BYTES or len(waiting) >= MOST_PIECES:
                chunk, waiting, size = waiting, [], 0
                before, writing = writing, None
                if before is not None:
                    await before
                writing = loop.run_in_executor(threads, write, chunk)
    finally:
        # A write that failed raises here, or has raised above and left nothing to wait for.
        if writing is not None:
            await writing
        if waiting:
            await loop.run_in_executor(threads, write, waiting)
