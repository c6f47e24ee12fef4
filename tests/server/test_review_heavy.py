"""Work that takes long, asked for by one user in large numbers, leaves threads for the others."""

from __future__ import annotations

import asyncio
import threading

import pytest

from grange.errors import TooMany
from grange.server.heavy import Heavy, PerUser


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

    assert [1] * 30 == asyncio.run(crowd())
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

    asyncio.run(crowd())


def test_what_goes_wrong_gives_the_turn_back() -> None:
    """An error passes, and takes nobody's place for ever."""

    def fail() -> None:
        raise ValueError

    async def crowd() -> None:
        heavy = Heavy(at_once=1, per_user=1)
        for _ in range(3):
            with pytest.raises(ValueError, match=r"^$"):
                await heavy.do("mia", fail)

    asyncio.run(crowd())


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
