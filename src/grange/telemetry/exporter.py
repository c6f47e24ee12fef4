"""A small HTTP server that tells this process's numbers to whoever scrapes them.

It gives names of the worker and of pipelines away and nothing of what is worked on,
and takes no request but `GET /metrics`; still it belongs on a network of one's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from grange.errors import SettingInvalid
from grange.telemetry.exposition import CONTENT_TYPE, expose
from grange.telemetry.tally import Sample, Tally

PATH = "/metrics"
# Whoever is slower, or comes while so many others ask, is no scraper.
PATIENCE_SECONDS = 5.0
MOST_AT_ONCE = 8


class Exporter:
    """Answers scrapes in threads of its own, from `with` on to the end of the block."""

    def __init__(
        self,
        tally: Tally,
        *,
        port: int,
        host: str = "",
        gauges: Callable[[], Iterable[Sample]] = tuple,
    ) -> None:
        """Take the port, 0 for a free one; `host` is the address, all of them unless given.

        `gauges` is asked at each scrape, from another thread, for what the tally doesn't hold.

        Raises:
            SettingInvalid: The port can't be had.
        """
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            message = f"The port {port} for metrics can't be had: {error.strerror}."
            raise SettingInvalid(message, hint="Choose another one, or none.") from error
        self._server.told = lambda: expose([*tally.samples(), *gauges()])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )

    @property
    def port(self) -> int:
        """The port that it has."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and let go of the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    told: Callable[[], bytes]

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._places = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the library's own
        """Take a request into a thread, unless too many are being answered."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the library's own
        """Answer one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the library's own
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "grange"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:  # the library asks for this name
        """Tell the numbers."""
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body = self.server.told()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """Write no line for each scrape."""
