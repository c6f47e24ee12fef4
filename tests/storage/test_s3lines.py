"""Connections to S3 servers are used again, and whatever became of them meanwhile is no trouble."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from grange.storage.s3lines import Lines, Reply


class _Server(ThreadingHTTPServer):
    """Answers every request, and writes down by which connection it came."""

    daemon_threads = True
    hangs_up = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[int, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        login = self.headers.get("Proxy-Authorization", "")
        self.server.came.append((self.client_address[1], self.path, login))
        self.send_response(302 if self.path.endswith("moved") else 200)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"bytes")
        # Without a word of it: the other side learns it with its next request.
        self.close_connection = self.server.hangs_up

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[_Server]:
    """Run a server of the test's own."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Give connections that are closed at the end."""
    lines = Lines()
    yield lines
    lines.close()


def test_one_connection_serves_many_requests(lines: Lines, server: _Server) -> None:
    """To open each time would cost more than most requests do."""
    for _ in range(5):
        assert (200, b"bytes", True) == _told(_ask(lines, f"{server.url}/a?b=c"))

    assert 1 == len({port for port, _, _ in server.came})
    assert {"/a?b=c"} == {path for _, path, _ in server.came}


def test_one_that_was_closed_meanwhile_is_replaced(lines: Lines, server: _Server) -> None:
    """Servers close what was idle for a while: nobody hears of it."""
    server.hangs_up = True

    for _ in range(3):
        assert (200, b"bytes", True) == _told(_ask(lines, server.url))

    assert 3 == len({port for port, _, _ in server.came})


def test_a_server_that_is_gone_is_said(lines: Lines, server: _Server) -> None:
    """After the one other try that an idle connection is worth."""
    gone = server.url.replace(str(server.server_port), "1")

    with pytest.raises(OSError, match="refused"):
        _ask(lines, gone)


def test_nobody_is_followed_elsewhere(lines: Lines, server: _Server) -> None:
    """The signature would go along."""
    assert 302 == _ask(lines, f"{server.url}/moved").status
    assert ["/moved"] == [path for _, path, _ in server.came]


def test_no_answer_is_longer_than_was_asked_for(lines: Lines, server: _Server) -> None:
    """What is left of it is not taken for the next one."""
    assert (200, b"by", False) == _told(_ask(lines, server.url, most_bytes=2))
    assert (200, b"bytes", True) == _told(_ask(lines, server.url))


def test_a_proxy_of_the_environment_is_used(
    lines: Lines, server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its login, and the whole address that is wanted of it."""
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//me:a%20word@"))

    _ask(lines, "http://s3.example.org/bucket/key")

    login = f"Basic {base64.b64encode(b'me:a word').decode()}"
    assert [("http://s3.example.org/bucket/key", login)] == [one[1:] for one in server.came]


def _ask(lines: Lines, url: str, *, most_bytes: int = 100) -> Reply:
    return lines.send(
        url, method="GET", headers={}, body=None, timeout_seconds=10, most_bytes=most_bytes
    )


def _told(reply: Reply) -> tuple[int, bytes, bool]:
    return reply.status, reply.body, reply.is_whole
