"""The server's life: it begins to answer, and ends when it is told to, within seconds."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from grange.server.serving.protocol import BoundedProtocol

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

    from grange.server.serving.listening import Listener

KEEP_ALIVE_SECONDS = 60
# How long answers that are under way may take after the signal to stop.
GRACE_SECONDS = 3
OPEN_FILES = 65_536


def serve(
    app: FastAPI,
    listener: Listener,
    *,
    ready: Callable[[], None],
    stopping: Callable[[], None],
) -> None:
    """Answer requests until SIGTERM or SIGINT.

    `ready` is called once the first request would be
    answered; `stopping` when the end has begun, so that what would stay open
    for ever can be closed.
    """
    _allow_open_files()
    tls = listener.tls
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        # Who the client is, `visitors` decides by the settings.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_context_factory=(lambda _config, _default: tls) if tls else None,
    )
    server = _Server(config, ready=ready, stopping=stopping)
    server.run(sockets=[listener.socket])


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready and gives the process back when it ends."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Callable[[], None],
        stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals to stop, without raising them again: there is more to be closed."""
        taken = (signal.SIGINT, signal.SIGTERM)
        before = {one: signal.signal(one, self.handle_exit) for one in taken}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def _allow_open_files() -> None:
    """Each open page holds a socket; the usual limit of 1024 files is soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
