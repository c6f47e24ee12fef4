"""What can be told of a broker before any work: is its client here, does it let this user in?"""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

from grange.engines.rabbit.link import connect
from grange.engines.rabbit.names import Address, address
from grange.engines.rabbit.troubles import told
from grange.errors import ExtraMissing

# Who asks sits there and waits.
LOOK_SECONDS = 10.0


def check_client() -> None:
    """See that the client for RabbitMQ is installed, without the time that importing it takes.

    Raises:
        ExtraMissing: It is not.
    """
    if find_spec("aio_pika") is None:
        message = "RabbitMQ needs the extra rabbitmq, which is not installed."
        raise ExtraMissing(message, hint="Install it: pip install 'grange[rabbitmq]'")


def try_broker(url: str) -> str:
    """Connect once, and let go again; returns where it was, to be shown to people.

    Raises:
        SettingInvalid: The URL is none of a broker.
        ExtraMissing: The client for RabbitMQ is not installed.
        BrokerRefused: The broker does not want this user.
        BrokerUnreachable: It does not answer within ten seconds.
    """
    where = address(url)
    asyncio.run(_look(where))
    return where.where


async def _look(where: Address) -> None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            session = await connect(where, "grange doctor")
    except TimeoutError as error:
        raise told(error, where) from error
    await session.close()
