"""A broker that hangs, or is not there yet, is a pause: no task is lost, none comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from grange.core.tasks import Outcome, OutcomeState, Task
from grange.engines.rabbit.engine import RabbitEngine
from tests.brokers import Broker
from tests.engines.rabbit.stand import Scene, publish, until

pytestmark = pytest.mark.timeout(300)


@contextmanager
def _down(broker: Broker) -> Iterator[None]:
    """Cut the broker's power for as long as the block lasts."""
    broker.kill()
    try:
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
