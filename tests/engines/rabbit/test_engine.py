"""Tasks go through a real broker and come back, whatever happens on the way."""

from __future__ import annotations

import time

import pytest

from grange.core.tasks import Outcome, OutcomeState
from grange.engines import make_engine
from grange.engines.rabbit.checking import check
from grange.engines.rabbit.engine import RabbitEngine
from grange.engines.rabbit.link import connect
from grange.engines.rabbit.messages import Abandon, Report, pack_report
from grange.engines.rabbit.names import Names, address
from grange.errors import BrokerRefused, BrokerUnreachable, EngineError, SettingInvalid
from tests import aside
from tests.brokers import Broker
from tests.engines.rabbit.stand import (
    LEASE_SECONDS,
    Scene,
    Station,
    publish,
    until,
    until_quiet,
    wait,
)
from tests.services import PASSWORD, USER, free_port


def test_a_task_goes_there_and_back(scene: Scene) -> None:
    """What a station says came of a task is what the driver hears."""
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()

    publish(engine, (task,))
    until(lambda: station.held, engine)
    until(engine.workers, engine)

    assert ["st"] == [view.name for view in engine.workers()]
    assert [task.id] == engine.alive()
    assert station.done(task)
    assert OutcomeState.DONE is wait(engine, (task,))[task.id].state
    assert [] == engine.alive()


def test_small_tasks_travel_together(scene: Scene) -> None:
    """Many small tasks cost few messages."""
    engine, station = scene.engine(), scene.station()
    first, many = scene.tasks(4), scene.tasks(3000)
    publish(engine, first)
    wait(engine, first)

    publish(engine, many)
    came = wait(engine, many)

    assert {OutcomeState.DONE} == {one.state for one in came.values()}
    assert len(station.batches) < 50


def test_a_driver_learns_how_many_slots_there_are(scene: Scene) -> None:
    """What is out is bounded by what stations can do."""
    engine = scene.engine()
    until(engine.room, engine)
    (task,) = scene.tasks()
    scene.station(slots=3)
    publish(engine, (task,))
    wait(engine, (task,))

    until(lambda: engine.room() >= 3, engine)


def test_a_station_takes_only_what_it_wants(scene: Scene) -> None:
    """What a busy station does not take waits for others in the queue."""
    engine, busy = scene.engine(), scene.station(slots=2, busy=True)
    tasks = scene.tasks(5)
    publish(engine, tasks)
    until(lambda: len(busy.held) == 2, engine)
    other = scene.station(slots=3, busy=True)
    until(lambda: len(other.held) == 3, engine)

    assert {task.id for task in tasks} == set(busy.held) | set(other.held)
    assert 2 == len(busy.held)


def test_abandoned_work_is_stopped_wherever_it_is(scene: Scene) -> None:
    """A station is told what to stop; what waits in the queue is never begun by it."""
    engine, station = scene.engine(), scene.station(slots=1, busy=True)
    at_hand, waiting, wanted = scene.tasks(3)
    publish(engine, (at_hand, waiting, wanted))
    until(lambda: station.held, engine)

    engine.abandon([at_hand.id, waiting.id])
    until(lambda: any(isinstance(one, Abandon) for one in station.controls), engine)
    told = [one for one in station.controls if isinstance(one, Abandon)]
    station.wanted = 1
    until(lambda: wanted.id in station.held, engine)

    assert "run1" == told[0].run
    assert {(at_hand.id, 1), (waiting.id, 1)} == set(told[0].attempts)
    assert waiting.id not in station.held
    assert station.done(wanted)
    assert [wanted.id] == list(wait(engine, (wanted,)))


def test_a_station_that_vanishes_loses_its_task(scene: Scene) -> None:
    """After a lease without a sign of life the attempt counts as lost."""
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(engine.workers, engine)

    station.end()
    gone = time.monotonic()
    outcome = wait(engine, (task,))[task.id]

    assert OutcomeState.LOST is outcome.state
    assert outcome.failure is not None
    assert "no sign of life" in outcome.failure.message
    assert time.monotonic() - gone < 2 * LEASE_SECONDS


def test_an_outcome_that_comes_twice_or_late_is_dropped(scene: Scene) -> None:
    """Each task comes back once, also when a station doubts that it was heard."""
    engine, station = scene.engine(), scene.station(busy=True)
    first, second = scene.tasks(2)
    publish(engine, (first, second))
    until(lambda: len(station.held) == 2, engine)
    job = station.held[first.id][0]

    station.done(first)
    station.held[first.id] = (job, first)
    station.done(first)
    engine.abandon([second.id])
    station.done(second)

    came = [one.task for one in until_quiet(engine)]
    assert [first.id] == came


def test_the_next_driver_takes_over_what_is_under_way(scene: Scene) -> None:
    """Work goes on while a server is upgraded: its outcomes wait for the next one."""
    old, station = scene.engine(), scene.station(slots=2, busy=True)
    ended, running, waiting = tasks = scene.tasks(3)
    publish(old, tasks)
    until(lambda: len(station.held) == 2, old)
    old.close()
    station.done(ended)

    new = scene.engine()
    new.adopt(tasks)
    assert OutcomeState.DONE is wait(new, (ended,))[ended.id].state
    until(lambda: [running.id] == [view.task for view in new.workers()], new)
    station.wanted = 1
    until(lambda: waiting.id in station.held, new)
    station.done(running)
    station.done(waiting)

    assert {running.id, waiting.id} == set(wait(new, (running, waiting)))
    assert not any(isinstance(one, Abandon) for one in station.controls)


def test_outcomes_that_the_ledger_does_not_have_come_again(scene: Scene) -> None:
    """A driver that dies before it has written an outcome down leaves it to the next one."""
    dying, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(dying, (task,))
    until(lambda: station.held, dying)
    station.done(task)
    assert [task.id] == list(wait(dying, (task,)))
    dying.close()

    new = scene.engine()
    new.adopt((task,))

    assert [task.id] == list(wait(new, (task,)))


def test_a_run_that_was_forgotten_takes_no_outcomes(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station learns that nobody will read what it has, and drops it."""
    monkeypatch.setattr("grange.engines.rabbit.reporting.GONE_SECONDS", 0.0)
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(lambda: station.held, engine)

    engine.forget()

    assert not station.done(task)


def test_what_a_run_that_is_over_has_left_in_the_queue_is_not_begun(scene: Scene) -> None:
    """It was called off while no station was there; whoever comes has other things to do."""
    over, engine = scene.engine("over"), scene.engine("run1")
    left, (wanted,) = scene.tasks(3), scene.tasks()
    publish(over, left, "over")
    until(lambda: _waiting(scene) > 0, over)
    over.abandon([task.id for task in left])
    over.forget()
    over.close()

    publish(engine, (wanted,))
    station = scene.station(busy=True)
    until(lambda: wanted.id in station.held, engine)
    until(lambda: _waiting(scene) == 0, engine)

    assert {wanted.id} == set(station.held)
    assert station.done(wanted)
    assert [wanted.id] == list(wait(engine, (wanted,)))


def test_a_station_sees_whether_somebody_drives_a_run(scene: Scene) -> None:
    """Who waits for a server asks the broker: the run may be in good hands all the same."""
    engine, station = scene.engine(), scene.station(busy=True)
    publish(engine, scene.tasks())
    until(lambda: station.held, engine)
    driven = station.run(station.intake.listeners("run1"))
    engine.close()
    until(lambda: station.run(station.intake.listeners("run1")) == 0)

    assert 1 == driven
    assert 0 == station.run(station.intake.listeners("never"))


def _waiting(scene: Scene) -> int:
    """How many messages are in the queue of tasks."""

    async def ask() -> int | None:
        session = await connect(address(scene.url), "test")
        try:
            line = await session.line(frail=True)
            return await line.depth(Names(scene.site).tasks("c1"))
        finally:
            await session.close()

    return aside.run(ask()) or 0


def test_what_stations_only_give_back_is_lost_in_the_end(
    scene: Scene, rabbitmq_server: Broker
) -> None:
    """A message that nobody can take goes to the dead, and its tasks count as lost."""
    engine = scene.engine()
    station = scene.station()
    poison, sound = scene.tasks(2)
    deliver = station.intake._delivered

    def refusing(message: object, subscription: object) -> None:
        if f'"id":{poison.id},'.encode() in message.body:  # type: ignore[attr-defined]
            subscription.refuse(message.tag)  # type: ignore[attr-defined]
        else:
            deliver(message, subscription)  # type: ignore[arg-type]

    station.intake._delivered = refusing  # type: ignore[method-assign]
    publish(engine, (poison, sound))
    came = wait(engine, (poison, sound))

    assert OutcomeState.LOST is came[poison.id].state
    assert OutcomeState.DONE is came[sound.id].state


def test_a_station_of_another_protocol_leaves_the_work_to_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not understand a server takes nothing from it, and says what is wrong."""
    engine = scene.engine()
    monkeypatch.setattr("grange.engines.rabbit.messages.PROTOCOL", 2)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(lambda: engine.health() and engine.health().state == "up", engine)  # type: ignore[union-attr]
    monkeypatch.setattr("grange.engines.rabbit.messages.PROTOCOL", 1)
    station = scene.station()

    until(lambda: "protocol" in station.intake.health().reason, engine)

    assert "speaks protocol 2" in station.intake.health().reason
    assert [] == station.batches


def test_nonsense_in_the_queues_harms_nobody(scene: Scene) -> None:
    """What is no message is dropped, and the next ones are heard."""
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(lambda: station.held, engine)
    sender = station.intake._reporter.sender
    assert sender is not None
    reports = station.intake._names.reports
    station.run(sender.send(b"nonsense", reports, "run1"))
    station.run(sender.send(pack_report(Report("x", "y", ("?",))), reports, "run1"))

    station.done(task)

    assert [task.id] == list(wait(engine, (task,)))


def test_nobody_speaks_for_no_station(scene: Scene) -> None:
    """What a driver says of the dead it puts into the queue itself: no station can pass for it."""
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(lambda: station.held, engine)
    forged = Report("", "", outcomes=(Outcome(task.id, task.epoch, OutcomeState.DONE),))

    _say(station, pack_report(forged))
    station.report(Outcome(task.id, task.epoch, OutcomeState.FAILED))

    assert OutcomeState.FAILED is wait(engine, (task,))[task.id].state


def test_an_outcome_that_makes_no_sense_is_none(scene: Scene) -> None:
    """A station that says what nobody can write down holds up no run."""
    engine, station = scene.engine(), scene.station(busy=True)
    (task,) = scene.tasks()
    publish(engine, (task,))
    until(lambda: station.held, engine)
    for change in ({"seconds": "long"}, {"task": [1]}, {"worker": "\ud800"}):
        known = {"task": task.id, "epoch": task.epoch, "state": OutcomeState.DONE, **change}
        strange = Outcome(**known)  # type: ignore[arg-type]
        _say(station, pack_report(Report("st", station.intake.session, outcomes=(strange,))))

    station.report(Outcome(task.id, task.epoch, OutcomeState.FAILED))

    assert OutcomeState.FAILED is wait(engine, (task,))[task.id].state


def test_a_run_that_is_let_go_while_it_is_opened_leaves_nothing(scene: Scene) -> None:
    """One whose driver stops at once, again and again, takes no channels from all others."""
    engine = scene.engine()
    engine.adopt(())
    until(lambda: engine.room() and engine._hub and not engine._hub._busy, engine)
    before = _lines(engine)

    for number in range(5):
        brief = scene.engine(f"brief{number}")
        brief.adopt(())
        brief.close()

    until(lambda: engine._hub and not engine._hub._busy, engine)
    assert before == _lines(engine)


def test_a_task_that_no_message_holds_fails(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """One impossible task does not hold up the others that it travels with."""
    monkeypatch.setattr("grange.engines.rabbit.messages.MAX_BODY_BYTES", 2000)
    engine = scene.engine()
    scene.station()
    fine, long = scene.tasks(2)
    long.path = "x" * 3000
    publish(engine, (fine, long))

    came = wait(engine, (fine, long))

    assert (OutcomeState.DONE, OutcomeState.FAILED) == (came[fine.id].state, came[long.id].state)


def test_ring_ends_a_wait(scene: Scene) -> None:
    """Whoever has news for the dispatcher need not wait for it."""
    engine = scene.engine()
    engine.start()
    engine.ring()
    began = time.monotonic()

    assert [] == engine.collect(30)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "url",
    ["amqp://", "amqp:///x", "amqp://user:s3cret@host:port/", "amqp://[bad/", "amqps://h/#s3cret"],
)
def test_a_wrong_address_is_refused_at_once(url: str) -> None:
    """Who mistypes the address is told how it looks, without the password."""
    with pytest.raises(SettingInvalid) as caught:
        make_engine(url, run="run1", site="site")

    assert "amqp://user:password@host:5672/" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_an_address_shows_no_password() -> None:
    """Not even in what a debugger or a log makes of it."""
    assert "s3cret" not in repr(address("amqp://user:s3cret@host/"))


def test_an_unknown_engine_is_named_without_its_password() -> None:
    """A typing error in the scheme does not show what follows it."""
    with pytest.raises(EngineError, match="no engine 'ampq'") as caught:
        make_engine("ampq://user:s3cret@host/")

    assert "s3cret" not in str(caught.value)


def test_a_wrong_password_is_said_so(rabbitmq_server: Broker) -> None:
    """Whoever starts a server learns that the broker refuses it, and not with what."""
    with pytest.raises(BrokerRefused, match="name or the password is wrong") as caught:
        check(rabbitmq_server.url_of(USER, "not-" + PASSWORD))

    assert PASSWORD not in str(caught.value)
    assert "rabbitmqctl" in caught.value.hint


def test_a_virtual_host_that_is_not_there_is_said_so(rabbitmq_server: Broker) -> None:
    """Who names another virtual host than there is learns which one was not opened."""
    with pytest.raises(BrokerRefused, match="nowhere"):
        check(rabbitmq_server.url_of(USER, PASSWORD, "nowhere"))


def test_a_broker_that_is_not_there_is_said_so() -> None:
    """Nobody waits for a port that nobody listens on."""
    with pytest.raises(BrokerUnreachable, match="can't be reached"):
        check(f"amqp://user:s3cret@127.0.0.1:{free_port()}/")


def test_a_refused_driver_is_a_state(rabbitmq_server: Broker) -> None:
    """A wrong password crashes no server: people see why nothing goes on."""
    url = rabbitmq_server.url_of(USER, "wrong")
    engine = make_engine(url, run="run1", site="site")
    engine.start()
    until(lambda: "password" in getattr(engine.health(), "reason", ""))

    assert 0 == engine.room()
    assert "wrong:" not in getattr(engine.health(), "reason", "")
    engine.close()


def _say(station: Station, report: bytes) -> None:
    """Let a station say something to the run's driver."""
    sender = station.intake._reporter.sender
    assert sender is not None
    assert station.run(sender.send(report, station.intake._names.reports, "run1"))


def _lines(engine: RabbitEngine) -> int:
    """How many channels are open on the driver's connection."""
    session = engine._hub._link.session if engine._hub is not None else None
    transport = session._connection.transport if session is not None else None
    return len(transport.connection.channels) if transport is not None else 0
