"""A broker whose management hangs keeps its workers waiting, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from grange.accounts.secret import new_secret
from grange.client.schemas.workers import Facts
from grange.client.workers import join
from tests.server import scene

MACHINES = 12
RENEWALS = 60
# Each request waits for ten seconds for what does not answer.
SOON_SECONDS = 6.0


def test_workers_that_wait_for_a_broker_take_no_turn_from_people(tmp_path: Path) -> None:
    """While dozens ask for credentials that don't come, everybody else is answered."""
    going = threading.Event()
    going.set()
    with (
        _management(going) as management,
        scene.serving(
            tmp_path / "home",
            GRANGE_ENGINE="amqp://drive:secret@127.0.0.1:1/",
            GRANGE_ENGINE_MANAGEMENT=management,
        ) as server,
        closing(scene.set_up(server)) as admin,
        ThreadPoolExecutor(RENEWALS) as many,
    ):
        line = admin.post("/workers/tokens", json={"uses": MACHINES}).json()["line"]
        keys = [join(line, Facts(name="rack"), secret=new_secret()).key for _ in range(MACHINES)]
        going.clear()
        waiting = [
            many.submit(_renew, server.url, keys[number % MACHINES]) for number in range(RENEWALS)
        ]
        try:
            answers = [admin.get("/workers", timeout=SOON_SECONDS) for _ in range(3)]
        finally:
            going.set()
        assert [200] * 3 == [answer.status_code for answer in answers]
        assert {one.result() for one in waiting} <= {200, 429, 502, 503}


def _renew(url: str, key: str) -> int:
    """Ask for credentials once, as a worker does; the status of the answer."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=60.0) as client:
        return client.post("/workers/me/renew").status_code


@contextmanager
def _management(going: threading.Event) -> Iterator[str]:
    """Answer as a broker's management does; while nothing is going, not at all."""

    class Answer(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:  # the library asks for this name
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            going.wait()
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def do_GET(self) -> None:  # the library asks for this name
            self.do_PUT()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
