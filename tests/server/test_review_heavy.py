"""Work that takes long, asked for by one user in large numbers, leaves threads for the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time

import httpx
import pytest

from grange.errors import TooMany
from grange.server.heavy import Heavy, PerUser
from tests import aside
from tests.server.scene import Cast, Serving

SECONDS = 30.0
SENDING_AT_ONCE = 64
SIZE = 9999
PIECE = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def test_few_are_done_at_once_and_all_get_their_turn() -> None:
    """What is too much at once waits without a thread, and is done later."""
    at_work, most, lock = 0, 0, threading.Lock()

    def work() -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        threading.Event().wait(0.01)
        with lock:
            at_work -= 1
        return 1

    async def crowd() -> list[int]:
        heavy = Heavy(at_once=3, per_user=30)
        return await asyncio.gather(*(heavy.do("mia", work) for _ in range(30)))

    assert [1] * 30 == aside.run(crowd())
    assert 3 == most


def test_one_user_has_no_more_than_so_many_under_way() -> None:
    """Others still may; and whoever was refused may again when some is done."""

    async def crowd() -> None:
        heavy, gate = Heavy(at_once=2, per_user=2), threading.Event()
        under_way = [asyncio.create_task(heavy.do("mia", gate.wait)) for _ in range(2)]
        others = asyncio.create_task(heavy.do("otto", gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(TooMany):
            await heavy.do("mia", gate.wait)
        gate.set()
        assert [True] * 3 == await asyncio.gather(*under_way, others)
        assert await heavy.do("mia", gate.wait)

    aside.run(crowd())


def test_what_goes_wrong_gives_the_turn_back() -> None:
    """An error passes, and takes nobody's place for ever."""

    def fail() -> None:
        raise ValueError

    async def crowd() -> None:
        heavy = Heavy(at_once=1, per_user=1)
        for _ in range(3):
            with pytest.raises(ValueError, match=r"^$"):
                await heavy.do("mia", fail)

    aside.run(crowd())


def test_a_user_takes_no_more_places_than_there_are_for_one() -> None:
    """The next user still gets one, and each that is given back is free again."""
    places = PerUser(2)
    with places.place("mia"), places.place("mia"):
        with pytest.raises(TooMany), places.place("mia"):
            pass
        with places.place("otto"):
            pass
    with places.place("mia"):
        pass


def test_one_user_who_sends_much_leaves_room_for_others(server: Serving, cast: Cast) -> None:
    """So many uploads of one user come at once; the next is refused until one has ended."""
    with contextlib.ExitStack() as opened:
        for _ in range(SENDING_AT_ONCE):
            opened.enter_context(_sending(server, cast.member))
        _wait_for(cast.member, SENDING_AT_ONCE * SIZE)
        refused = _sent(cast.member)
        assert (429, True) == (refused.status_code, "Retry-After" in refused.headers)
        assert 201 == _sent(cast.other).status_code

    _wait_for(cast.member, 0)
    assert 201 == _sent(cast.member).status_code


def _sending(server: Serving, person: httpx.Client) -> socket.socket:
    """Begin an upload of which only the first byte comes."""
    cookies = "; ".join(f"{name}={value}" for name, value in person.cookies.items())
    headers = {**PIECE, "Host": "localhost", "Upload-Length": str(SIZE)}
    headers["Content-Length"] = str(SIZE)
    headers |= {"Cookie": cookies, "X-CSRF-Token": person.headers["X-CSRF-Token"]}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    talk = socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS)
    talk.sendall(f"POST /api/v1/uploads HTTP/1.1\r\n{head}\r\n1".encode())
    return talk


def _sent(person: httpx.Client) -> httpx.Response:
    return person.post("/uploads", content=b"1", headers={**PIECE, "Upload-Length": "1"})


def _wait_for(person: httpx.Client, used_bytes: int) -> None:
    """Wait until the person's uploads, begun and not given up, have this size together."""
    deadline = time.monotonic() + SECONDS
    while person.get("/session").json()["used_bytes"] != used_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.05)
