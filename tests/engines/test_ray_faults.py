"""Ray as an engine while its cluster is in trouble: killed in part, frozen, gone for a while."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from grange.core.tasks import Outcome, OutcomeState, Task
from grange.engines import Engine
from grange.engines.ray import dismiss
from tests.engines import rays
from tests.engines.contract.rigs import GatedTask, RayRig
from tests.engines.rays import RayCluster
from tests.engines.rig import states

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(300),
    # Ray's own threads and sockets, when what they talk to is killed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PATIENCE_SECONDS = 120.0


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[RayRig]:
    """Lend a rig that has this process to itself; nothing of it stays connected."""
    dismiss()
    rig = RayRig(tmp_path)
    yield rig
    for engine in rig.engines:
        engine.close()
    dismiss()


def test_a_machine_that_is_killed_loses_its_task_and_no_other(rig: RayRig) -> None:
    """Its task counts as tried, as with any worker that dies; the others' work goes on."""
    with rays.ray_cluster(cores=1) as cluster, _machine(cluster) as shed:
        rig.address = cluster.address
        engine = rig.make(workers=2)
        tasks = [GatedTask(rig), GatedTask(rig)]
        places = [_place(rig, one) for one in tasks]
        rig.publish(engine, [one.task for one in tasks])
        _turn_until(engine, lambda: all(one.begun.exists() for one in tasks))
        (unlucky,) = [n for n, place in enumerate(places) if place.read_text() == shed]

        rays.signal_all(shed, signal.SIGKILL)
        (lost,) = _next(engine)
        tasks.pop(unlucky).open()
        tasks[0].open()
        more = rig.many(5)
        rig.publish(engine, more)
        came = _finish(rig, engine, [tasks[0].task, *more])

        assert (unlucky + 1, OutcomeState.LOST) == (lost.task, lost.state)
        assert {OutcomeState.DONE} == states(came)


def test_work_goes_on_beside_a_raylet_that_is_stopped_for_a_while(rig: RayRig) -> None:
    """SIGSTOP to the head's raylet: tasks under way and new ones are done, and none is lost."""
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engine = rig.make(workers=2)
        rig.do(engine, rig.many(20))
        gate = GatedTask(rig)
        rig.publish(engine, [gate.task])
        _turn_until(engine, gate.begun.exists)

        assert 1 == rays.signal_all(cluster.mark, signal.SIGSTOP, named="raylet/raylet")
        until = time.monotonic() + 8
        _turn_until(engine, lambda: time.monotonic() > until)
        gate.open()
        came = _finish(rig, engine, [gate.task])
        rays.signal_all(cluster.mark, signal.SIGCONT, named="raylet/raylet")
        after = rig.do(engine, rig.many(20))

        assert {OutcomeState.DONE} == states([*came, *after.values()])


def test_a_cluster_that_freezes_for_a_while_loses_nothing(rig: RayRig) -> None:
    """All its processes stop for longer than it takes to tell people, and go on."""
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engine = rig.make(workers=2)
        gate = GatedTask(rig)
        rig.publish(engine, [gate.task])
        _turn_until(engine, gate.begun.exists)

        rays.signal_all(cluster.mark, signal.SIGSTOP)
        _turn_until(engine, lambda: "does not answer" in _reason(engine))
        rays.signal_all(cluster.mark, signal.SIGCONT)
        gate.open()
        came = _finish(rig, engine, [gate.task])
        _turn_until(engine, lambda: not _reason(engine))

        assert [OutcomeState.DONE] == [one.state for one in came]


def test_a_cluster_that_stays_frozen_is_given_up_and_blames_nobody(rig: RayRig) -> None:
    """Its tasks are the ledger's again before their leases end; nobody waits for it to close."""
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engine = rig.make(lease_seconds=24.0)
        gate = GatedTask(rig)
        rig.publish(engine, [gate.task])
        _turn_until(engine, gate.begun.exists)

        rays.signal_all(cluster.mark, signal.SIGSTOP)
        began = time.monotonic()
        came = _next(engine)
        took = time.monotonic() - began
        engine.close()
        began = time.monotonic()
        dismiss()
        closing = time.monotonic() - began

    assert [OutcomeState.RETURNED] == [one.state for one in came]
    assert took < 24.0
    assert closing < 10.0


def test_nobody_waits_for_a_frozen_cluster(rig: RayRig) -> None:
    """While it is not known yet that nobody will answer: all calls return, and so does the end."""
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engine = rig.make(workers=2)
        gate = GatedTask(rig)
        rig.publish(engine, [gate.task])
        _turn_until(engine, gate.begun.exists)

        rays.signal_all(cluster.mark, signal.SIGSTOP)
        began = time.monotonic()
        rig.publish(engine, rig.many(20))
        engine.abandon([gate.task.id])
        engine.collect(0.1)
        engine.alive()
        calls = time.monotonic() - began
        engine.close()
        dismiss()
        whole = time.monotonic() - began

    assert calls < 1.0
    assert whole < 12.0


@pytest.mark.parametrize("name", ["gcs_server", "raylet/raylet", "specific-server"])
def test_the_end_of_one_process_of_the_cluster_blames_no_task(rig: RayRig, name: str) -> None:
    """Its memory, the head's own part, the client's server: work goes on with the next cluster."""
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engine = rig.make()
        gate = GatedTask(rig)
        rig.publish(engine, [gate.task])
        _turn_until(engine, gate.begun.exists)

        assert rays.signal_all(cluster.mark, signal.SIGKILL, named=name)
        came = _next(engine)

        assert [OutcomeState.RETURNED] == [one.state for one in came]
        if name == "specific-server":
            gate.open()
            gate.task.epoch += 1
            outcome = rig.do(engine, [gate.task])[gate.task.id]
            assert (OutcomeState.DONE, 2) == (outcome.state, outcome.epoch)
            return
    with rays.ray_cluster(cores=2, port=cluster.port):
        gate.open()
        gate.task.epoch += 1
        rig.publish(engine, [gate.task])
        (outcome,) = _finish(rig, engine, [gate.task])
        assert (OutcomeState.DONE, 2) == (outcome.state, outcome.epoch)


def test_two_kinds_of_work_both_go_on_when_the_cluster_is_back(rig: RayRig) -> None:
    """They share the connection: neither takes the other's new one for the broken one."""
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engines = [rig.make(), rig.make(lease_seconds=30.0)]
        gates = [GatedTask(rig), GatedTask(rig)]
        for engine, gate in zip(engines, gates, strict=True):
            rig.publish(engine, [gate.task])
            _turn_until(engine, gate.begun.exists)
    came = [_next(engine) for engine in engines]
    assert [[OutcomeState.RETURNED]] * 2 == [[one.state for one in some] for some in came]

    with rays.ray_cluster(cores=2, port=cluster.port):
        for engine, gate in zip(engines, gates, strict=True):
            gate.open()
            gate.task.epoch += 1
            rig.publish(engine, [gate.task])
        ends = [
            _finish(rig, engine, [gate.task]) for engine, gate in zip(engines, gates, strict=True)
        ]
    assert [[OutcomeState.DONE]] * 2 == [[one.state for one in some] for some in ends]


def _machine(cluster: RayCluster) -> AbstractContextManager[str]:
    return rays.ray_machine(cluster, cores=1, label="shed")


def _place(rig: RayRig, gate: GatedTask) -> Path:
    """Have the task write the mark of the machine that it is at."""
    place = gate.gate.with_suffix(".place")
    file = rig.inputs / gate.task.path
    script = f"import os\nopen({str(place)!r}, 'w').write(os.environ[{rays.MARK!r}])\n"
    file.write_text(script + file.read_text())
    gate.task = rig.task_at(file, number=gate.task.id)
    return place


def _finish(rig: RayRig, engine: Engine, tasks: list[Task]) -> list[Outcome]:
    """Wait for these to come back as anything but given back."""
    return list(rig.finish(engine, tasks).values())


def _next(engine: Engine) -> list[Outcome]:
    """What comes back next."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (came := engine.collect(0.2)):
        assert time.monotonic() < deadline
    return came


def _turn_until(engine: Engine, true: Callable[[], object]) -> list[Outcome]:
    """Let the engine work until something is true; returns what came back meanwhile."""
    came: list[Outcome] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        came += engine.collect(0.05)
    return came


def _reason(engine: Engine) -> str:
    health = engine.health()
    return "" if health is None or health.state == "up" else health.reason
