"""Clients that are slow on purpose, and crowds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from grange.server import bodies, guard
from tests import aside
from tests.server import scene
from tests.server.scene import Cast, Serving

# Twice the time that the server gives: what comes then shows that it hangs up by itself.
HANG_UP_SECONDS = 40.0

HEALTH = b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n"
LOG_IN = b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000\r\n"

# What a client sends at once, and what it sends twice a second from then on.
DRIPS = {
    "nothing": (b"", b""),
    "a head": (HEALTH, b"X: y\r\n"),
    "a body": (LOG_IN + b"Content-Type: application/json\r\n\r\n", b" "),
    "what follows an answer": (HEALTH + b"\r\n", b"\r\n"),
}


def test_clients_that_drip_are_cut_off(server: Serving) -> None:
    """However a client spins out its request, the connection is not its for ever."""
    with ThreadPoolExecutor(len(DRIPS)) as pool:
        received = list(pool.map(lambda one: _drip(server, *one), DRIPS.values()))

    cut_off = [b" 408 " in one for one in received]
    assert dict.fromkeys(DRIPS, True) == dict(zip(DRIPS, cut_off, strict=True))
    with server.client() as nobody:
        assert 200 == nobody.get("/health").status_code


def _drip(server: Serving, begun: bytes, drip: bytes) -> bytes:
    """Send slowly until the server hangs up, and return what it said."""
    deadline = time.monotonic() + HANG_UP_SECONDS
    received = bytearray()
    with socket.create_connection(("127.0.0.1", server.port), timeout=0.5) as talk:
        talk.sendall(begun)
        while time.monotonic() < deadline:
            try:
                data = talk.recv(65536)
                received += data
                if not data:
                    return bytes(received)
            except TimeoutError:
                with contextlib.suppress(ConnectionError):
                    talk.sendall(drip)
            except ConnectionError:
                return bytes(received)
    return b"the server waits for ever"


def test_slow_clients_hold_nobody_up(server: Serving) -> None:
    """While hundreds of connections drip, others are answered as ever."""
    with contextlib.ExitStack() as opened:
        for _ in range(300):
            talk = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            talk.sendall(b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\n")
        with server.client() as nobody:
            assert [200] * 20 == [nobody.get("/health").status_code for _ in range(20)]


def test_a_flood_is_turned_away() -> None:
    """Beyond a number of requests at once, further ones get 503 and are told when to come back."""
    answered: list[int] = []

    async def flood() -> None:
        free = asyncio.Event()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await free.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        crowd = guard.CrowdGuard(app)
        taken = [asyncio.create_task(_ask(crowd, answered)) for _ in range(guard.MOST_REQUESTS)]
        await asyncio.sleep(0)
        headers = await _ask(crowd, answered)
        assert b"2" == headers[b"retry-after"]
        assert [503] == answered
        free.set()
        await asyncio.gather(*taken)
        await _ask(crowd, answered)

    aside.run(flood())

    assert [503] + [200] * (guard.MOST_REQUESTS + 1) == answered


def test_a_fast_client_may_rest() -> None:
    """A body may come in bursts: what counts is what comes within a while of waiting."""

    async def body() -> None:
        patience = bodies.Patience(_of([b"x" * 65_536] * 5))
        for _ in range(5):
            assert b"x" * 65_536 == (await patience())["body"]

    aside.run(body())


def _of(parts: list[bytes]) -> Receive:
    left = iter(parts)

    async def receive() -> Message:
        return {"type": "http.request", "body": next(left), "more_body": True}

    return receive


async def _ask(app: guard.CrowdGuard, answered: list[int]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])
            headers.update(message["headers"])

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    await app(scope, receive, send)
    return headers


@pytest.fixture(scope="module")
def crowd(cast: Cast, server: Serving) -> Iterator[list[httpx.Client]]:
    """Give twenty clients, each with a token of its own."""
    clients = [scene.with_token(cast.admin, server.url, "read", "run", "admin") for _ in range(20)]
    yield clients
    for one in clients:
        one.close()


def test_twenty_at_once_lose_nothing(crowd: list[httpx.Client], cast: Cast) -> None:
    """Twenty clients change the same group, each putting people in and others' names on it."""
    group = cast.admin.post("/groups", json={"name": "Everybody"}).json()["id"]
    people = []
    for number in range(20):
        body = {"email": f"guest{number}@example.org", "name": f"Guest {number}"}
        people.append(cast.admin.post("/users", json=body).json()["user"]["id"])
    gate = threading.Barrier(len(crowd))

    def work(number: int) -> list[int]:
        client = crowd[number]
        gate.wait()
        codes = [client.put(f"/groups/{group}/members/{people[number]}").status_code]
        codes += [client.patch(f"/groups/{group}", json={"name": f"By {number}"}).status_code]
        codes += [client.get(path).status_code for path in ("/users", "/groups", "/audit")]
        return codes

    with ThreadPoolExecutor(len(crowd)) as pool:
        codes = list(pool.map(work, range(len(crowd))))

    assert [[204, 200, 200, 200, 200]] * len(crowd) == codes
    found = cast.admin.get(f"/groups/{group}").json()
    assert set(people) == set(found["members"])
    assert found["name"] in {f"By {number}" for number in range(20)}
    assert cast.admin.get("/audit/verdict").json()["whole"]


def test_of_twenty_that_make_the_same_one_does(crowd: list[httpx.Client]) -> None:
    """One key, sent by many at once, makes one thing, and all of them hear of the same."""
    gate = threading.Barrier(len(crowd))

    def make(client: httpx.Client) -> tuple[int, str]:
        gate.wait()
        headers = {"Idempotency-Key": "made-once"}
        answer = client.post("/groups", json={"name": "Only one"}, headers=headers)
        return answer.status_code, answer.json().get("id", answer.text)

    with ThreadPoolExecutor(len(crowd)) as pool:
        answers = set(pool.map(make, crowd))

    assert 1 == len(answers)
    names = [one["name"] for one in crowd[0].get("/groups").json()["items"]]
    assert 1 == names.count("Only one")
