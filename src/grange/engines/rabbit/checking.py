"""Whether a broker is there and takes its user: asked once, by those who start with it."""

from __future__ import annotations

import asyncio

from grange.engines.rabbit.link import connect
from grange.engines.rabbit.names import address


def check(url: str) -> None:
    """Connect to the broker, and let go of it.

    Raises:
        SettingInvalid: The URL is none of a broker.
        BrokerUnreachable: There is no answer.
        BrokerRefused: The broker does not want this user.
        ExtraMissing: The client for RabbitMQ is not installed.
    """
    where = address(url)

    async def look() -> None:
        session = await connect(where, "grange check")
        await session.close()

    asyncio.run(look())
