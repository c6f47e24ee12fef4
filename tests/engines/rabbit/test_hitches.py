"""What happens at a bad moment: a message for nobody, a word during a rebuild, a silent thief."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import httpx
import pytest

from grange.core.resources import Needs
from grange.core.tasks import OutcomeState
from grange.engines.rabbit.engine import RabbitEngine
from grange.engines.rabbit.line import Line
from grange.engines.rabbit.link import Link, Session, connect
from grange.engines.rabbit.living import Over
from grange.engines.rabbit.messages import Abandon
from grange.engines.rabbit.names import Names, address
from grange.errors import BrokerRefused, BrokerUnreachable
from tests import aside
from tests.brokers import Broker
from tests.engines.rabbit.stand import PATIENCE_SECONDS, Scene, Station, publish, until, wait
from tests.services import PASSWORD, USER


def test_a_message_for_nobody_costs_a_station_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asked for one message, and is given one of a cancelled run, gets the next one."""
    engine, station = scene.engine(), scene.station(slots=0, busy=True)
    *unwanted, wanted = scene.tasks(3)
    publish(engine, (*unwanted, wanted))
    until(station.intake.shapes, engine)
    engine.abandon([task.id for task in unwanted])
    until(lambda: any(isinstance(one, Abandon) for one in station.controls), engine)
    ask = station.intake.want
    monkeypatch.setattr(station.intake, "want", lambda _: None)

    station._loop.call_soon_threadsafe(ask, {"c1": 1})
    until(lambda: station.held, engine)

    assert [wanted.id] == list(station.held)


def test_a_queue_that_is_told_of_during_a_rebuild_is_not_missed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station whose connection is being made again hears of a new queue, and takes from it."""
    engine, station = scene.engine(), scene.station()
    (task,) = scene.tasks()
    publish(engine, (task,))
    wait(engine, (task,))
    open_line, intake = Session.line, station.intake
    building, go_on = threading.Event(), threading.Event()

    async def held_up(self: Session, **options: bool) -> Line:
        line = await open_line(self, **options)
        ours = asyncio.get_running_loop() is station._loop
        if ours and intake._passing is not None and not intake._subscriptions:
            building.set()
            await asyncio.to_thread(go_on.wait, PATIENCE_SECONDS)
        return line

    monkeypatch.setattr(Session, "line", held_up)
    station._loop.call_soon_threadsafe(intake._fail, BrokerUnreachable("It is cut off."))
    assert building.wait(PATIENCE_SECONDS)
    other = scene.engine("run2", needs=Needs(labels=("rare",)))
    (rare,) = scene.tasks()
    publish(other, (rare,), "run2")
    until(lambda: any("rare" in shape for shape in intake.shapes()), other)
    go_on.set()

    assert OutcomeState.DONE is wait(other, (rare,))[rare.id].state


def test_nothing_is_given_up_while_the_connection_is_made_in_vain(
    scene: Scene, rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose queue is refused keeps all others waiting, and loses nothing of theirs."""
    monkeypatch.setattr("grange.engines.rabbit.link.REFUSED_PAUSE_SECONDS", 3.0)
    monkeypatch.setattr("grange.engines.rabbit.engine.HEARD_SECONDS", 0.1)
    monkeypatch.setattr("grange.engines.rabbit.engine.CARE_SECONDS", 0.05)
    engine, station = scene.engine(lease_seconds=1.0), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(engine.workers, engine)
    _not_ours(rabbitmq_server, Names(scene.site).outcomes("run2"))

    refused = scene.engine("run2")
    refused.adopt(())
    until(lambda: "not the same" in _reason(engine), engine)
    # Made again, in vain once more: and the lease is long over before it is tried a third time.
    ups = _count_ups(engine, monkeypatch)
    until(lambda: len(ups) == 1, engine)
    came = until(lambda: len(ups) == 2, engine)

    assert [] == came
    assert [task.id] == engine.alive()
    assert [task.id] == list(station.held)


def test_what_vanished_comes_back_though_the_queue_is_never_empty(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that a station took with it to its grave is missed when others pass it."""
    monkeypatch.setattr("grange.engines.rabbit.holdings.ORDER_SECONDS", 0.0)
    engine, thief = scene.engine(), scene.station(slots=1, busy=True, name="thief")
    engine.adopt(())
    until(thief.intake.shapes, engine)
    monkeypatch.setattr(thief.intake, "_accepted", lambda _: None)
    monkeypatch.setattr(thief.intake, "beat", _nothing)
    (stolen,) = scene.tasks()
    publish(engine, (stolen,))
    until(lambda: thief.held and not thief.intake._subscriptions["c1"]._open, engine)
    thief.end()

    other, station = scene.engine("run2"), scene.station(slots=1, busy=True)
    publish(other, scene.tasks(3), "run2")
    until(other.workers, other)
    assert [] == other.collect(2.5)  # others have been heard by then

    assert OutcomeState.RETURNED is wait(engine, (stolen,))[stolen.id].state
    assert 1 == len(station.held)


def test_what_a_dead_station_had_leaves_room_for_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is left gets work long before the leases of the dead one's tasks are over."""
    for module in ("stations", "holdings"):
        monkeypatch.setattr(f"grange.engines.rabbit.{module}.SILENT_SECONDS", 1.5)
    engine = scene.engine(lease_seconds=60.0)
    greedy = scene.station(slots=1, busy=True, name="greedy")
    greedy.wanted = 4
    tasks = scene.tasks(4)
    publish(engine, tasks)
    until(lambda: len(greedy.held) == len(tasks), engine)
    # What the broker has not heard of yet would go to another one.
    until(lambda: not greedy.intake._subscriptions["c1"]._open, engine)
    scene.station(slots=1, busy=True)
    assert 0 == engine.room()

    greedy.end()
    until(engine.room, engine)

    assert {task.id for task in tasks} == set(engine._holdings._out)


def test_a_station_that_was_not_told_finds_out_that_a_run_is_over(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hears so in a while, and nothing of the kind about others."""
    for name, seconds in (("KNOWN", 0.1), ("OVER", 0.5)):
        monkeypatch.setattr(f"grange.engines.rabbit.living.{name}_SECONDS", seconds)
    monkeypatch.setattr("grange.engines.rabbit.intake.DOUBT_SECONDS", 0.1)
    over, engine, station = scene.engine("over"), scene.engine(), scene.station(busy=True)
    (unwanted,), (wanted,) = scene.tasks(), scene.tasks()
    publish(over, (unwanted,), "over")
    publish(engine, (wanted,))
    until(lambda: {unwanted.id, wanted.id} == set(station.held), engine)

    over.forget()
    over.close()
    until(lambda: _over(station), engine)
    del station.held[unwanted.id]
    engine.collect(1.5)

    assert {Over("over")} == _over(station)
    assert station.done(wanted)


def test_what_is_abandoned_while_the_broker_is_away_is_said_when_it_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when no beat would remind the driver of it."""
    monkeypatch.setattr("grange.engines.rabbit.link.FIRST_PAUSE_SECONDS", 2.0)
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(lambda: station.held, engine)
    station.held.clear()
    hub = engine._hub
    assert hub is not None
    session = hub._link.session
    assert session is not None

    hub._call(session.fail, BrokerUnreachable("It is cut off."))
    until(lambda: hub.health.state == "down", engine)
    engine.abandon([task.id])
    assert hub.health.state == "down"
    until(lambda: _abandoned(station), engine)

    assert {Abandon("run1", ((task.id, 1),))} == _abandoned(station)


def test_the_queue_of_a_run_that_ends_while_the_broker_is_away_goes_when_it_is_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And so does that of a run that ended while nobody drove it; those of others stay."""
    monkeypatch.setattr("grange.engines.rabbit.link.FIRST_PAUSE_SECONDS", 2.0)
    standby, names = scene.engine(""), Names(scene.site)
    runs = ("over", "undriven", "run1")
    over, undriven, _ = engines = [scene.engine(run) for run in runs]
    for engine in engines:
        engine.adopt(())
    until(lambda: all(_is_there(scene, names.outcomes(run)) for run in runs))
    undriven.close()
    standby.start()
    hub = over._hub
    assert hub is not None
    until(lambda: hub.health.state == "up")
    session = hub._link.session
    assert session is not None

    hub._call(session.fail, BrokerUnreachable("It is cut off."))
    until(lambda: hub.health.state == "down")
    over.forget()
    standby.tidy(["undriven", "run1", "never"])
    assert hub.health.state == "down"
    until(lambda: not any(_is_there(scene, names.outcomes(run)) for run in runs[:2]))

    assert _is_there(scene, names.outcomes("run1"))


def test_a_link_ends_also_while_it_closes_a_connection(
    rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends it at that moment does not wait for ever."""
    close = Session.close

    async def refuse(_: Session) -> None:
        raise BrokerRefused("Nothing can be made here.")

    async def end() -> bool:
        closing = asyncio.Event()

        async def told(self: Session) -> None:
            closing.set()
            await close(self)

        monkeypatch.setattr(Session, "close", told)
        where = address(rabbitmq_server.url)
        link = Link(where, name="test", build=refuse, changed=lambda _: None)
        keeping = asyncio.create_task(link.run())
        await closing.wait()
        keeping.cancel()
        await asyncio.wait({keeping}, timeout=6.0)
        return keeping.done()

    assert aside.run(end())


def _abandoned(station: Station) -> set[Abandon]:
    """What the station was told to give up."""
    return {one for one in station.controls if isinstance(one, Abandon)}


def _over(station: Station) -> set[Over]:
    """Of which runs the station has heard that they are over."""
    return {one for one in station.controls if isinstance(one, Over)}


def _is_there(scene: Scene, queue: str) -> bool:
    """Whether the broker has the queue."""

    async def ask() -> int | None:
        session = await connect(address(scene.url), "test")
        try:
            return await (await session.line(frail=True)).depth(queue)
        finally:
            await session.close()

    return aside.run(ask()) is not None


def _reason(engine: RabbitEngine) -> str:
    health = engine.health()
    return health.reason if health is not None else ""


async def _nothing(*_: object, **__: object) -> None:
    """Say nothing."""


def _not_ours(broker: Broker, queue: str) -> None:
    """Let there be a queue of this name that is none of Grange's."""
    url = f"{broker.management}/api/queues/%2F/{queue}"
    made = httpx.put(url, auth=(USER, PASSWORD), json={"durable": True}, timeout=PATIENCE_SECONDS)
    made.raise_for_status()


def _count_ups(engine: RabbitEngine, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Note each time that the engine hears of a connection."""
    ups: list[Any] = []
    reached = type(engine._holdings).reached

    def noted(self: Any, now: float) -> None:  # holdings
        if self is engine._holdings:
            ups.append(now)
        reached(self, now)

    monkeypatch.setattr(type(engine._holdings), "reached", noted)
    return ups
