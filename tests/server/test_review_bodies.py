"""Bodies that hold something up: slow ones by the hundred, and large ones that nobody asked for."""

from __future__ import annotations

import contextlib
import socket

from grange.server import bodies, guard
from tests.server import scene
from tests.server.scene import Cast, Serving

SECONDS = 10.0
COOKIE = "grange_session"


def _talk(server: Serving, head: str) -> socket.socket:
    talk = socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
    talk.sendall(f"{head}\r\nHost: localhost\r\n".encode())
    return talk


def test_bodies_that_come_slowly_take_nobodys_turn(server: Serving, cast: Cast) -> None:
    """Hundreds of strangers who never get to the end of their requests stop no other request."""
    body = {"email": scene.email("otto"), "password": scene.PASSWORD}
    with contextlib.ExitStack() as opened:
        for _ in range(guard.MOST_REQUESTS + 10):
            talk = opened.enter_context(_talk(server, "POST /api/v1/session HTTP/1.1"))
            talk.sendall(b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n{")
        # Each of these has a connection of its own, which was there later.
        assert 200 == cast.member.get("/session").status_code
        with server.client() as nobody:
            assert 201 == nobody.post("/session", json=body).status_code


def test_large_bodies_have_a_limit_together(server: Serving, cast: Cast) -> None:
    """What strangers send and never end fills no memory, and small requests pass all the same."""
    most = bodies.MOST_HELD_BYTES // bodies.MOST_BYTES
    with contextlib.ExitStack() as opened:
        for _ in range(most):
            talk = opened.enter_context(_talk(server, "POST /api/v1/session HTTP/1.1"))
            talk.sendall(f"Content-Length: {bodies.MOST_BYTES}\r\n\r\n{{".encode())
        with server.client() as nobody:
            body = {"email": "x" * bodies.SMALL_BYTES, "password": "x"}
            refused = nobody.post("/session", json=body)
            assert (429, "rate.limited") == (refused.status_code, refused.json()["code"])
            assert int(refused.headers["retry-after"]) > 0
        assert 200 == cast.member.patch(_myself(cast), json={"name": "Mia"}).status_code


def test_an_upload_is_not_read_as_a_form(server: Serving, cast: Cast) -> None:
    """A streamed body may be of any size: without proof it is refused before it comes."""
    with _talk(server, "POST /api/v1/uploads HTTP/1.1") as talk:
        cookie = cast.viewer.cookies[COOKIE]
        talk.sendall(
            f"Cookie: {COOKIE}={cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Tus-Resumable: 1.0.0\r\nUpload-Length: 1\r\nContent-Length: {1 << 40}\r\n\r\n"
            "x=".encode()
        )
        answer = talk.recv(1000)

    assert answer.startswith(b"HTTP/1.1 403 "), answer


def _myself(cast: Cast) -> str:
    return f"/users/{scene.user_id(cast.member)}"
