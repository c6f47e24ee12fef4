"""One channel to the broker: what Grange does on it, in few words and with its own errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from aiormq import exceptions as theirs
from aiormq import spec

from grange.engines.rabbit.names import OWN_USER
from grange.engines.rabbit.troubles import told, translated
from grange.errors import BrokerUnreachable, EngineError

if TYPE_CHECKING:
    from aiormq.abc import DeliveredMessage
    from aiormq.channel import Channel

    from grange.engines.rabbit.link import Session

# A queue is deaf when it has been silent for so long, and for as long again after another queue
# has answered the same. Where no other can say that the broker does what is asked of it, its disk
# may be slow: then it is waited for longer.
# A broker writes down which log is a quorum queue's about a second after it has made the queue.
# Killed before, it comes back with the queue and an empty log in place of its own: it says that
# it has the queue, but that never gets a leader, and whoever subscribes or sends to it waits for
# ever. RabbitMQ says more of it here:
# https://github.com/rabbitmq/rabbitmq-server/issues/15725
QUIET_SECONDS = 5.0
LONG_QUIET_SECONDS = 20.0

_T = TypeVar("_T")

_LASTING = 2  # AMQP's word for what outlives the broker


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as it came.

    `times` is how often it had been delivered before, `user` who has sent it, where that is said:
    the broker takes no wrong one. `direct`: it was put into the queue itself, which stations
    may not do.
    """

    body: bytes
    tag: int
    key: str
    name: str
    times: int
    user: str = ""
    direct: bool = False


class Line:
    """A channel of a session. What it raises is `BrokerUnreachable` or `BrokerRefused`.

    Whatever ends a channel ends its session, but for frail ones.
    """

    def __init__(self, channel: Channel, session: Session) -> None:
        """Take over a channel that is open."""
        self._channel = channel
        self.session = session
        self._where = session.where
        # Only of users that the server has made is it known that the broker knows the same name.
        own = self._where.user.startswith(OWN_USER)
        self._user = self._where.user if own else None
        self.closed = False
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    def on_end(self, tell: Callable[[EngineError], None]) -> None:
        """Call this when the channel ends without having been closed."""

        def ended(closing: asyncio.Future[Any]) -> None:
            error = None if closing.cancelled() else closing.exception()
            if not self.closed:
                tell(told(error, self._where))

        self._channel.closing.add_done_callback(ended)

    async def close(self) -> None:
        """Close this channel alone; its session goes on."""
        self.closed = True
        with translated(self._where):
            await self._channel.close()

    async def ping(self) -> None:
        """Ask for something that every broker has."""
        with translated(self._where):
            await self._channel.exchange_declare("amq.fanout", passive=True)

    async def exchange(self, name: str, kind: str) -> None:
        """Have a durable exchange."""
        with translated(self._where):
            await self._channel.exchange_declare(name, exchange_type=kind, durable=True)

    async def hears(self, queue: str) -> None:
        """Have an answer from a quorum queue, for which the broker's disk is needed too.

        Nothing is taken from it: what comes goes back when this line is closed.
        """
        with translated(self._where):
            await self._channel.basic_qos(prefetch_count=1)
            await self._channel.basic_consume(queue, _leave)

    async def queue(self, name: str, arguments: dict[str, Any]) -> None:
        """Have a durable quorum queue."""
        whole = {"x-queue-type": "quorum", **arguments}
        with translated(self._where):
            await self._channel.queue_declare(name, durable=True, arguments=whole)

    async def own_queue(self, name: str, arguments: dict[str, Any]) -> None:
        """Have a queue that ends with the connection."""
        with translated(self._where):
            await self._channel.queue_declare(
                name, exclusive=True, auto_delete=True, arguments=arguments
            )

    async def depth(self, name: str) -> int | None:
        """How many messages wait in a queue.

        None where there is no such queue, which is the end of this line: ask on
        a frail one.
        """
        answer = await self._passive(name)
        return None if answer is None else answer.message_count or 0

    async def listeners(self, name: str) -> int | None:
        """How many take messages from a queue; None as with `depth`."""
        answer = await self._passive(name)
        return None if answer is None else answer.consumer_count or 0

    async def _passive(self, name: str) -> spec.Queue.DeclareOk | None:
        try:
            with translated(self._where):
                return await self._channel.queue_declare(name, passive=True)
        except BrokerUnreachable as error:
            if isinstance(error.__cause__, theirs.ChannelNotFoundEntity):
                return None
            raise

    async def bind(self, queue: str, exchange: str, key: str = "") -> None:
        """Let what is sent to the exchange with this key go to the queue."""
        with translated(self._where):
            await self._channel.queue_bind(queue, exchange, key)

    async def unbind(self, queue: str, exchange: str, key: str) -> None:
        """Take back what `bind` has said."""
        with translated(self._where):
            await self._channel.queue_unbind(queue, exchange, key)

    async def delete(self, queue: str) -> None:
        """Remove a queue with what is in it. One that isn't there is fine."""
        with translated(self._where):
            await self._channel.queue_delete(queue)

    async def consume(
        self,
        queue: str,
        take: Callable[[Incoming], None],
        *,
        prefetch: int = 0,
        settled: bool = False,
    ) -> str:
        """Call `take` with each message, at most `prefetch` of them unsettled (0: any number).

        With `settled` none needs to be. Gives what `cancel` wants.
        """

        async def deliver(message: DeliveredMessage) -> None:
            take(_incoming(message))

        with translated(self._where):
            if prefetch:
                await self._channel.basic_qos(prefetch_count=prefetch)
            asking = self._channel.basic_consume(queue, deliver, no_ack=settled)
            answer = await self._heard(queue, asking)
        return str(answer.consumer_tag)

    async def cancel(self, consumer: str) -> None:
        """Let no more messages come. All that had been sent before have come when this returns."""
        with translated(self._where):
            await self._channel.basic_cancel(consumer)
        # They are handed over by tasks of their own, which are ahead of this one.
        await asyncio.sleep(0)

    async def accept(self, tag: int, *, all_before: bool = False) -> None:
        """Settle a message."""
        with translated(self._where):
            await self._channel.basic_ack(tag, multiple=all_before, wait=False)

    async def refuse(self, tag: int) -> None:
        """Give a message back, which counts towards its limit."""
        with translated(self._where):
            await self._channel.basic_reject(tag, requeue=True, wait=False)

    async def post(self, body: bytes, exchange: str, key: str) -> None:
        """Send something that may get lost; on a line without confirms."""
        with translated(self._where):
            properties = spec.Basic.Properties(delivery_mode=1, user_id=self._user)
            await self._channel.basic_publish(
                body, exchange=exchange, routing_key=key, properties=properties, wait=False
            )

    async def send(self, body: bytes, exchange: str, key: str, *, name: str = "") -> bool:
        """Send something that must not; on a line with confirms.

        True once the broker has it on disk, False when there is no queue for it.

        Raises:
            BrokerUnreachable: The connection broke: nobody knows.
            BrokerRefused: The broker has no room for it.
        """
        properties = spec.Basic.Properties(
            delivery_mode=_LASTING, message_id=name or None, user_id=self._user
        )
        with translated(self._where):
            try:
                sending = self._channel.basic_publish(
                    body,
                    exchange=exchange,
                    routing_key=key,
                    properties=properties,
                    mandatory=True,
                    wait=False,
                )
                await self._heard("" if exchange else key, sending)
            except theirs.PublishError:
                return False
        return True

    async def _heard(self, queue: str, asked: Awaitable[_T]) -> _T:
        """Wait for a queue's answer, but not for that of a deaf one."""
        answer = asyncio.ensure_future(asked)
        try:
            if not (await asyncio.wait({answer}, timeout=QUIET_SECONDS))[0]:
                others_answer = await self.session.prove()
                more = QUIET_SECONDS if others_answer else LONG_QUIET_SECONDS
                await asyncio.wait({answer}, timeout=more)
            if answer.done():
                return answer.result()
        finally:
            # Asked or not, what came of it is not news any more.
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            answer.cancel()
        if queue:
            self.session.deaf.add(queue)
        raise BrokerUnreachable(
            f"The queue {queue or 'of a run'} at {self._where.where} does not answer.",
            hint="A server makes it anew. Is the broker's disk slow? rabbitmqctl status",
        )

    def _cancelled(self, *_: object) -> None:
        """The queue of a consumer is gone, or has moved: begin from the beginning."""
        if self.closed:
            return
        where = self._where.where
        self.session.fail(BrokerUnreachable(f"The message broker at {where} ended a subscription."))


async def _leave(_: DeliveredMessage) -> None:
    """Have it go back to its queue with the end of the channel."""


def _incoming(message: DeliveredMessage) -> Incoming:
    properties = message.header.properties
    headers = properties.headers or {}
    times = headers.get("x-delivery-count")
    return Incoming(
        body=message.body,
        tag=message.delivery_tag or 0,
        key=message.routing_key or "",
        name=properties.message_id or "",
        times=times if isinstance(times, int) else int(bool(message.redelivered)),
        user=properties.user_id or "",
        direct=message.exchange == "",
    )
