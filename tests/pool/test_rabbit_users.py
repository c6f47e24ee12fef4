"""Each worker has a RabbitMQ user of its own, who may do what a worker does and nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aiormq.exceptions import AMQPError

from grange.core.ids import new_id
from grange.db import Database
from grange.engines.rabbit.management import WorkerUsers, management_url
from grange.engines.rabbit.names import Names
from grange.errors import BrokerRefused, BrokerUnreachable
from tests import aside
from tests.brokers import Broker
from tests.pool.crews import Crew

SECONDS = 20.0


@pytest.fixture
def site() -> str:
    """Give a site that no other test has at the broker."""
    return new_id()


@pytest.fixture
def users(rabbitmq_server: Broker, site: str) -> WorkerUsers:
    """Give who makes users for workers at a real broker."""
    return WorkerUsers(rabbitmq_server.url, site=site, management=rabbitmq_server.management)


def test_a_worker_may_do_its_work(rabbitmq_server: Broker, users: WorkerUsers, site: str) -> None:
    """It reads tasks, has a queue of its own that hears what all are told, reports and beats."""
    names, worker = Names(site), new_id()
    url = users.issue(worker, "its own password")

    async def work() -> None:
        async with _site(rabbitmq_server.url, names), _channel(url) as channel:
            tasks = await channel.get_queue(names.tasks("c1"), ensure=False)
            await tasks.get(fail=False)
            own = await channel.declare_queue(f"{names.station(worker)}1", exclusive=True)
            await own.bind(names.control)
            for exchange in (names.reports, names.beats):
                told = await channel.get_exchange(exchange, ensure=False)
                await told.publish(aio_pika.Message(b"{}"), "run", mandatory=False)

    aside.run(work())


@pytest.mark.parametrize(
    "overstep",
    [
        lambda channel, names: channel.declare_queue(names.tasks("c1"), durable=True),
        lambda channel, names: channel.declare_queue(f"{names.station('another')}1"),
        lambda channel, names: channel.queue_delete(names.tasks("c1")),
        lambda channel, names: channel.exchange_delete(names.control),
        lambda channel, names: _publish(channel, names.control, ""),
        lambda channel, names: _publish(channel, "", names.tasks("c1")),
        lambda channel, names: _read(channel, names.outcomes("run")),
        lambda channel, _names: _read(channel, "grange.elsewhere.tasks.c1"),
    ],
)
def test_a_worker_may_do_nothing_else(
    rabbitmq_server: Broker,
    users: WorkerUsers,
    site: str,
    overstep: Callable[[AbstractChannel, Names], Awaitable[object]],
) -> None:
    """It makes no queues of tasks, reads no outcomes of others, and commands nobody."""
    names = Names(site)
    url = users.issue(new_id(), "its own password")

    async def work() -> None:
        async with _site(rabbitmq_server.url, names), _channel(url) as channel:
            with pytest.raises((AMQPError, aio_pika.exceptions.AMQPException), match="REFUSED"):
                await overstep(channel, names)

    aside.run(work())


def test_a_removed_worker_is_put_out(
    rabbitmq_server: Broker, site: str, database: Database
) -> None:
    """Its connection is closed and its user is gone; to remove it twice harms nothing."""
    users = WorkerUsers(rabbitmq_server.url, site=site, management=rabbitmq_server.management)
    crew = Crew(database, users)
    joined = crew.join()

    async def work() -> None:
        connection = await aio_pika.connect(joined.engine, timeout=SECONDS)
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_: closed.set())
        await asyncio.to_thread(crew.workers.remove, crew.admin, joined.worker.id)
        async with asyncio.timeout(SECONDS):
            await closed.wait()
        with pytest.raises((AMQPError, ConnectionError)):
            await aio_pika.connect(joined.engine, timeout=SECONDS)

    aside.run(work())
    users.revoke(joined.worker.id)
    assert joined.worker.id not in rabbitmq_server.control("list_users")


def test_credentials_come_back_after_the_broker_lost_its_disk(
    rabbitmq_server: Broker, users: WorkerUsers, site: str, database: Database
) -> None:
    """The same password opens it again once the worker has asked anew, and only then."""
    crew = Crew(database, users)
    worker, key = crew.joined()
    first = crew.workers.renew(worker, key).engine
    rabbitmq_server.control("delete_user", f"grange.{site}.{worker.id}")
    again = crew.workers.renew(worker, key).engine

    async def connect() -> None:
        await (await aio_pika.connect(again, timeout=SECONDS)).close()

    aside.run(connect())
    assert first == again


def test_what_could_not_be_revoked_is_revoked_later(
    rabbitmq_server: Broker, site: str, database: Database
) -> None:
    """A broker that is down when a worker is removed is asked again by the next sweep."""
    away = WorkerUsers(rabbitmq_server.url, site=site, management="http://127.0.0.1:1")
    there = WorkerUsers(rabbitmq_server.url, site=site, management=rabbitmq_server.management)
    crew = Crew(database, there)
    joined = crew.join()
    crew.workers._access = away
    crew.workers.remove(crew.admin, joined.worker.id)
    assert joined.worker.id in rabbitmq_server.control("list_users")

    crew.workers._access = there
    crew.clock.forward(seconds=61)
    crew.workers.sweep()
    assert joined.worker.id not in rabbitmq_server.control("list_users")


def test_a_join_that_fails_leaves_nothing(
    rabbitmq_server: Broker, users: WorkerUsers, site: str, database: Database
) -> None:
    """While the broker gives no credentials nobody joins, and the token serves when it does."""
    away = WorkerUsers(rabbitmq_server.url, site=site, management="http://127.0.0.1:1")
    crew = Crew(database, away)
    token = crew.token()
    with pytest.raises(BrokerUnreachable):
        crew.join(token=token)
    crew.workers.examine()
    assert ([], "broker.unreachable") == (
        crew.workers.all(),
        getattr(crew.workers.trouble, "code", ""),
    )
    assert ["worker.joined", "worker.join.undone"] == [action for _, action in crew.said()][-2:]

    crew.workers._access = users
    crew.workers.examine()
    assert None is crew.workers.trouble
    assert "rack-1" == crew.join(token=token).worker.name


def test_a_management_that_is_away_or_refuses_says_what_to_do(
    rabbitmq_server: Broker, site: str
) -> None:
    """Both name the command that mends it."""
    away = WorkerUsers(rabbitmq_server.url, site=site, management="http://127.0.0.1:1")
    with pytest.raises(BrokerUnreachable) as unreachable:
        away.issue("worker", "password")
    wrong = rabbitmq_server.url_of("nobody", "wrong")
    strange = WorkerUsers(wrong, site=site, management=rabbitmq_server.management)
    with pytest.raises(BrokerRefused) as refused:
        strange.issue("worker", "password")

    assert "rabbitmq-plugins enable" in unreachable.value.hint
    assert "set_user_tags" in refused.value.hint


@pytest.mark.parametrize(
    ("engine", "url"),
    [
        ("amqp://me:word@broker/site", "http://me:word@broker:15672"),
        ("amqp://broker:5673", "http://guest:guest@broker:15672"),
        ("amqps://me:word@broker:5671/site", "https://me:word@broker:15671"),
        ("amqps://me:word@[::1]", "https://me:word@[::1]:15671"),
    ],
)
def test_passwords_go_encrypted_where_tasks_do(engine: str, url: str) -> None:
    """The management API is asked where it usually is, and never more openly than the broker."""
    assert url == management_url(engine)


@asynccontextmanager
async def _site(url: str, names: Names) -> AsyncIterator[None]:
    """What a driver has made at the broker."""
    async with _channel(url) as channel:
        await channel.declare_queue(names.tasks("c1"), durable=True)
        await channel.declare_queue("grange.elsewhere.tasks.c1", durable=True)
        await channel.declare_queue(names.outcomes("run"), durable=True)
        await channel.declare_exchange(names.control, "fanout")
        await channel.declare_exchange(names.reports, "direct", durable=True)
        await channel.declare_exchange(names.beats, "topic")
    yield


@asynccontextmanager
async def _channel(url: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(url, timeout=SECONDS)
    async with connection:
        yield await connection.channel()


async def _publish(channel: AbstractChannel, exchange: str, key: str) -> None:
    told = (
        await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    )
    await told.publish(aio_pika.Message(b"{}"), key, timeout=SECONDS)


async def _read(channel: AbstractChannel, queue: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).get(fail=False)
