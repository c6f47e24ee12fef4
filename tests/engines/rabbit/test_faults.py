"""A broker that dies, hangs or loses its disk is a pause: no task is lost, none comes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from grange.core.tasks import Outcome, OutcomeState, Task
from grange.engines.rabbit.engine import RabbitEngine
from grange.engines.rabbit.names import Names
from tests.brokers import Broker
from tests.engines.rabbit.stand import Scene, publish, until

pytestmark = pytest.mark.timeout(300)


@contextmanager
def _down(broker: Broker, spoil: Callable[[Broker], None] | None = None) -> Iterator[None]:
    """Cut the broker's power for as long as the block lasts."""
    broker.kill()
    try:
        if spoil:
            spoil(broker)
        yield
    finally:
        broker.start()


def _finish(engine: RabbitEngine, tasks: tuple[Task, ...]) -> dict[int, Outcome]:
    """Wait for all, and give out again what comes back untouched, as the ledger does."""
    out = {task.id: task for task in tasks}
    came: dict[int, Outcome] = {}

    def all_came() -> bool:
        for outcome in engine.collect(0.1):
            task = out[outcome.task]
            assert task.epoch == outcome.epoch
            if outcome.state is OutcomeState.RETURNED:
                out[task.id] = replace(task, epoch=task.epoch + 1)
                publish(engine, (out[task.id],))
            else:
                del out[task.id]
                came[outcome.task] = outcome
        return not out

    until(all_came)
    return came


def _state(engine: RabbitEngine) -> str:
    health = engine.health()
    return health.state if health else ""


@pytest.mark.parametrize(
    "spoil",
    [None, Broker.unlist, Broker.wipe],
    ids=["same disk", "queues half made", "empty disk"],
)
def test_a_broker_that_dies_loses_nothing(
    scene: Scene,
    rabbitmq_server: Broker,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Broker], None] | None,
) -> None:
    """What is at hand goes on, what waited is done later, also when all at the broker is gone."""
    if spoil is Broker.unlist:
        monkeypatch.setattr("grange.engines.rabbit.line.QUIET_SECONDS", 1.0)
        monkeypatch.setattr("grange.engines.rabbit.line.LONG_QUIET_SECONDS", 1.0)
    # A test's lease is short: the station must be back before it ends.
    monkeypatch.setattr("grange.engines.rabbit.link.LONGEST_PAUSE_SECONDS", 0.5)
    engine, station = scene.engine(), scene.station(slots=1, busy=True)
    at_hand, waiting = tasks = scene.tasks(2)
    publish(engine, tasks)
    until(lambda: station.held, engine)
    names = Names(scene.site)
    for queue in (names.tasks("c1"), names.outcomes("run1"), names.dead):
        until(lambda name=queue: rabbitmq_server.lists(name), engine)  # type: ignore[misc]

    with _down(rabbitmq_server, spoil):
        until(lambda: _state(engine) == "down", engine)
        health = engine.health()
        assert health is not None
        assert str(rabbitmq_server.port) in health.reason
        assert 0 == engine.room()
        assert {at_hand.id, waiting.id} == set(engine.alive())
    # What comes back meanwhile is not to be missed: nothing is collected here.
    until(lambda: _state(engine) == "up" and station.intake.health().state == "up")
    station.done(at_hand)
    station.busy, station.wanted = False, 1

    came = _finish(engine, tasks)

    assert {OutcomeState.DONE} == {one.state for one in came.values()}
    assert {task.id for task in tasks} == set(came)


def test_a_queue_that_lost_its_log_is_made_anew_soon_where_others_answer(
    scene: Scene, rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is killed just after a run has begun holds up that run, and not for long."""
    monkeypatch.setattr("grange.engines.rabbit.line.QUIET_SECONDS", 1.0)
    monkeypatch.setattr("grange.engines.rabbit.line.LONG_QUIET_SECONDS", 1000.0)
    monkeypatch.setattr("grange.engines.rabbit.link.BUILD_SECONDS", 1000.0)
    names = Names(scene.site)
    older, engine = scene.engine("older"), scene.engine("run1")
    older.adopt(())
    for queue in (names.tasks("c1"), names.outcomes("older"), names.dead):
        until(lambda name=queue: rabbitmq_server.lists(name), older)  # type: ignore[misc]
    listed = rabbitmq_server.listed()
    tasks = scene.tasks(2)
    publish(engine, tasks)
    until(lambda: rabbitmq_server.lists(names.outcomes("run1")), engine)

    with _down(rabbitmq_server, lambda broker: broker.list_as_of(listed)):
        until(lambda: _state(engine) == "down", engine)
    until(lambda: _state(engine) == "up", engine)
    scene.station()

    assert {task.id for task in tasks} == set(_finish(engine, tasks))


def test_a_broker_that_hangs_is_noticed_and_waited_for(
    scene: Scene, rabbitmq_server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is open and says nothing is given up, and made anew."""
    monkeypatch.setattr("grange.engines.rabbit.link.PING_SECONDS", 0.2)
    monkeypatch.setattr("grange.engines.rabbit.link.ANSWER_SECONDS", 0.5)
    engine = scene.engine()
    scene.station()
    (task,) = scene.tasks()
    publish(engine, (task,))
    assert OutcomeState.DONE is _finish(engine, (task,))[task.id].state

    rabbitmq_server.freeze()
    try:
        until(lambda: _state(engine) == "down", engine)
        health = engine.health()
        assert health is not None
        assert "does not answer" in health.reason
    finally:
        rabbitmq_server.thaw()
    monkeypatch.setattr("grange.engines.rabbit.link.ANSWER_SECONDS", 15.0)
    (task,) = scene.tasks()
    publish(engine, (task,))

    assert OutcomeState.DONE is _finish(engine, (task,))[task.id].state


def test_work_waits_for_a_broker_that_is_not_there_yet(
    scene: Scene, rabbitmq_server: Broker
) -> None:
    """A server may start before its broker: everything begins when that comes."""
    with _down(rabbitmq_server):
        engine = scene.engine()
        scene.station()
        tasks = scene.tasks(3)
        publish(engine, tasks)
        assert {task.id for task in tasks} == set(engine.alive())

    assert {task.id for task in tasks} == set(_finish(engine, tasks))
