"""A station finds out which runs are over, and leaves nothing behind by asking."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from grange.core.ids import new_id
from grange.engines.rabbit.link import Session, connect
from grange.engines.rabbit.living import Living
from grange.engines.rabbit.names import Names, address
from grange.engines.rabbit.topology import declare_run, declare_site
from tests import aside
from tests.brokers import Broker
from tests.engines.rabbit.stand import PATIENCE_SECONDS


@pytest.mark.parametrize("is_over", [False, True], ids=["a queue", "no queue"])
def test_an_answer_that_comes_late_costs_no_channel(
    rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch, *, is_over: bool
) -> None:
    """Whoever asks again waits for it, too: no channel stays open, and no connection breaks."""

    async def ask() -> None:
        session = await connect(address(rabbitmq_server.url), "test")
        try:
            names, run = Names(new_id()), new_id()
            if not is_over:
                await _prepare(session, names, run)
            before = _channels(session)
            living = Living(names)
            monkeypatch.setattr("grange.engines.rabbit.living.ANSWER_SECONDS", 1e-4)
            for _ in range(20):
                assert 0 == await living.listeners(session, run)
            monkeypatch.setattr("grange.engines.rabbit.living.ANSWER_SECONDS", PATIENCE_SECONDS)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while _channels(session) > before + 1:
                assert time.monotonic() < deadline, "channels stay open"
                await asyncio.sleep(0.01)
            assert (not is_over) is await living.lives(session, run)
            assert session.is_open
        finally:
            await session.close()

    aside.run(ask())


async def _prepare(session: Session, names: Names, run: str) -> None:
    line = await session.line()
    await declare_site(line, names)
    await declare_run(line, names, run)


def _channels(session: Session) -> int:
    connection: Any = session._connection
    return len(connection.transport.connection.channels)
