"""A broker that delivers every message twice: whatever anybody publishes is published once more.

RabbitMQ shows each message that is published to whoever asks for it (its
"firehose"). A relay sends each again, where it went and as it was, so that
neither who has sent it nor who gets it is any other than the real one.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from aiormq import spec
from aiormq.channel import Channel

from tests.brokers import Broker
from tests.services import PASSWORD, START_SECONDS, USER

_FIREHOSE = "amq.rabbitmq.trace"
_USER = "relay"
# What the relay has sent itself is not sent again.
_MARK = "again"


class Doubling:
    """A relay beside a broker. Made by `doubled`."""

    def __init__(self, broker: Broker) -> None:
        # How many messages were sent again, by the last word of what they were sent to.
        self.sent: Counter[str] = Counter()
        self._url = broker.url_of(_USER, PASSWORD)
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        """Be there for all that is shown."""
        self._thread.start()
        assert self._ready.wait(START_SECONDS)

    def end(self) -> None:
        """Leave the broker, to which nothing has happened meanwhile."""
        assert self._thread.is_alive(), "the relay has failed"
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._relay())

    async def _relay(self) -> None:
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel(publisher_confirms=False)
            underlay = cast("Channel", await channel.get_underlay_channel())

            async def again(message: AbstractIncomingMessage) -> None:
                await self._again(message.body, dict(message.headers), underlay)

            own = await channel.declare_queue(exclusive=True)
            await own.bind(_FIREHOSE, "publish.#")
            await own.consume(again, no_ack=True)
            self._ready.set()
            await self._end.wait()

    async def _again(self, body: bytes, told: dict[str, Any], channel: Channel) -> None:
        given = told["properties"]
        headers = dict(given.get("headers", {}))
        if _MARK in headers:
            return
        exchange, (key,) = told["exchange_name"], told["routing_keys"]
        properties = spec.Basic.Properties(
            delivery_mode=given.get("delivery_mode"),
            message_id=given.get("message_id"),
            user_id=given.get("user_id"),
            headers={**headers, _MARK: 1},
        )
        self.sent[_kind(exchange, key)] += 1
        await channel.basic_publish(
            body, exchange=exchange, routing_key=key, properties=properties, wait=False
        )


def _kind(exchange: str, key: str) -> str:
    """What `grange.SITE.` is followed by in the name of an exchange or, without one, of a queue."""
    return (exchange or key).split(".")[2]


@contextmanager
def doubled(broker: Broker) -> Iterator[Doubling]:
    """Have every message at the broker delivered twice, for as long as the block lasts."""
    login = (USER, PASSWORD)
    api = f"{broker.management}/api/"
    with httpx.Client(base_url=api, auth=login, timeout=START_SECONDS) as client:

        def put(path: str, **data: object) -> None:
            client.put(path, json=data).raise_for_status()

        # Who may send in the name of others, as a worker's own user is said to be the sender.
        put(f"users/{_USER}", password=PASSWORD, tags="impersonator")
        put(f"permissions/%2F/{_USER}", configure=".*", write=".*", read=".*")
        relay = Doubling(broker)
        relay.start()
        put("vhosts/%2F", tracing=True)
        try:
            yield relay
        finally:
            put("vhosts/%2F", tracing=False)
            relay.end()
