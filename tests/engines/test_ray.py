"""Ray as an engine: what only it can get wrong. What all engines promise is in the contract."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grange.core.resources import Needs
from grange.core.tasks import Batch, Outcome, OutcomeState, Task, batch_to_json
from grange.engines import Engine, make_engine
from grange.engines.ray import dismiss, joining, wording
from grange.engines.ray.host import PROTOCOL, Terms, WorkerHost
from grange.errors import EngineError, ExtraMissing, WorkerStartFailed
from tests.engines import rays
from tests.engines.contract.rigs import ContractRig, GatedTask, RayRig, gone
from tests.engines.rays import RayCluster
from tests.engines.rig import is_alive, states, wait_for

pytestmark = pytest.mark.ray


@pytest.fixture
def rig(tmp_path: Path, ray_cluster: RayCluster) -> Iterator[RayRig]:
    """Lend a rig over the cluster that all tests share."""
    rig = RayRig(tmp_path)
    rig.address = ray_cluster.address
    yield rig
    for engine in rig.engines:
        engine.close()


def test_an_actor_that_is_killed_loses_its_task_and_no_other(rig: RayRig) -> None:
    """With kill -9, as its machine would: the worker ends too, and the rest is given out again."""
    engine = rig.make()
    rig.do(engine, rig.many(50))
    deadly, mark = rig.blocking()
    after = rig.many(5)
    rig.publish(engine, [deadly, *after])
    rig.turn_until(engine, mark.exists)
    rig.turn_until(engine, lambda: any(view.task for view in engine.workers()))
    actor = _parent(int(mark.read_text().split()[0]))

    os.kill(actor, signal.SIGKILL)
    outcomes = rig.finish(engine, [deadly, *after])

    lost = outcomes.pop(deadly.id)
    assert lost.failure is not None
    assert (OutcomeState.LOST, "worker.lost") == (lost.state, lost.failure.code)
    assert {OutcomeState.DONE} == states(outcomes.values())
    gone(mark)


def test_an_actor_that_is_stopped_is_not_alive_and_its_task_is_lost_in_the_end(
    rig: RayRig,
) -> None:
    """SIGSTOP: after half a lease its tasks are not vouched for, after three it is killed."""
    engine = rig.make(lease_seconds=1.0)
    task = GatedTask(rig)
    pid = rig.folder / "pid"
    script = f"import os; open({str(pid)!r}, 'w').write(str(os.getppid()))\n"
    file = rig.inputs / task.task.path
    file.write_text(script + file.read_text())
    rig.publish(engine, [rig.task_at(file)])
    rig.turn_until(engine, task.begun.exists)

    os.kill(int(pid.read_text()), signal.SIGSTOP)
    rig.turn_until(engine, lambda: not engine.alive())
    came = _next(engine)

    assert [OutcomeState.LOST] == [one.state for one in came]
    wait_for(lambda: not is_alive(int(pid.read_text())))


def test_engines_of_one_kind_share_warm_actors(rig: RayRig) -> None:
    """The next run's tasks are done by the same workers, with nothing loaded again."""
    first = rig.make(workers=2)
    script = "import os; result = os.getpid()"
    before = {one.result for one in rig.do(first, rig.many(40, script)).values()}
    first.close()

    second = rig.make(workers=2)
    after = {one.result for one in rig.do(second, rig.many(40, script)).values()}

    assert after <= before


def test_what_is_asked_for_beyond_the_cluster_is_told(rig: RayRig) -> None:
    """No machine has that label: the engine waits, keeps its task, and says why."""
    engine = make_engine(rig.address, needs=Needs(labels=("moon",)), lease_seconds=60.0)
    rig.engines.append(engine)
    task = rig.task()
    rig.publish(engine, [task])

    rig.turn_until(engine, lambda: "no room" in _reason(engine))

    assert [task.id] == engine.alive()


def test_labels_lead_to_machines_that_have_them(rig: RayRig) -> None:
    """A label is a custom resource of the cluster."""
    engine = make_engine(rig.address, needs=Needs(cores=0.5, labels=("barn",)))
    rig.engines.append(engine)

    assert {OutcomeState.DONE} == states(rig.do(engine, rig.many(5)).values())


def test_without_ray_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start, before anything is waited for."""
    monkeypatch.setattr(joining, "find_spec", lambda _: None)
    engine = make_engine("ray")

    with pytest.raises(ExtraMissing) as caught:
        engine.start()

    assert "pip install 'grange[ray]'" in caught.value.hint


def test_another_cluster_at_the_same_time_is_refused(rig: RayRig) -> None:
    """Ray knows one for each process; the error names it."""
    rig.do(rig.make(), [rig.task()])

    with pytest.raises(EngineError, match=rig.address):
        joining.join("ray://127.0.0.1:1", Needs(), None)


def test_versions_that_differ_are_named() -> None:
    """Ray's own words say which; the hint says what is here."""
    words = "Version mismatch: The cluster was started with:\n Ray: 2.1.0\n Python: 3.9.1\n"

    error = wording.explained("The Ray cluster at ray://farm:10001", RuntimeError(words))

    assert isinstance(error, WorkerStartFailed)
    assert "2.1.0" in error.message
    assert sys.version.split()[0] in error.hint


@pytest.mark.parametrize(
    "words",
    [
        "RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err",
        "psutil.ZombieProcess: PID still exists but it's a zombie (pid=8706)",
    ],
)
def test_a_server_for_clients_that_dies_of_its_fork_is_told_with_what_helps(words: str) -> None:
    """With gRPC 1.81 and later Ray's own does so at times; the words are its own."""
    error = wording.explained("The Ray cluster at ray://farm:10001", ConnectionAbortedError(words))

    assert not isinstance(error, WorkerStartFailed)  # which would mean a pause of half a minute
    assert "tried again" in error.message
    assert "GRPC_ENABLE_FORK_SUPPORT=0" in error.hint


def test_an_actor_refuses_another_protocol() -> None:
    """It says which both sides speak."""
    host = WorkerHost(Terms())
    try:
        with pytest.raises(EngineError, match=f"protocol 99, this actor {PROTOCOL}"):
            host.give(b'{"protocol": 99}')
    finally:
        host.close()


def test_what_was_not_seen_of_a_report_is_told_again(tmp_path: Path) -> None:
    """A report that got lost on the way takes no outcome with it."""
    rig = ContractRig(tmp_path)
    host = WorkerHost(Terms(beat_seconds=0.2))
    try:
        task = rig.task("result = 5")
        host.give(_message(rig, task))
        seen, before = 0, 0
        told: list[Any] = []
        while not told:
            report = _read(host.report(seen))
            told, before, seen = report["outcomes"], seen, report["number"]

        again = _read(host.report(before))["outcomes"]
        later = _read(host.report(seen + 1))["outcomes"]
    finally:
        host.close()

    assert [[7, task.id]] == [[seat, one["task"]] for seat, one in told]
    assert told == again
    assert [] == later


@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # Ray's threads
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # and its sockets
def test_work_goes_on_when_the_cluster_is_back(tmp_path: Path) -> None:
    """Killed at all once: that is told as a state, and what was there is given out again."""
    dismiss()
    rig = RayRig(tmp_path)
    with rays.ray_cluster(cores=2) as cluster:
        rig.address = cluster.address
        engine = rig.make()
        task = GatedTask(rig)
        rig.publish(engine, [task.task])
        rig.turn_until(engine, task.begun.exists)
    came = _next(engine)
    rig.turn_until(engine, lambda: _reason(engine))

    assert [OutcomeState.RETURNED] == [one.state for one in came]
    task.open()
    with rays.ray_cluster(cores=2, port=cluster.port):
        task.task.epoch += 1
        outcome = rig.do(engine, [task.task])[task.task.id]
        engine.close()
        dismiss()
    assert (OutcomeState.DONE, 2) == (outcome.state, outcome.epoch)


def _message(rig: ContractRig, task: Task) -> bytes:
    batch = batch_to_json(Batch(rig.job(), (task,)))
    return json.dumps({"protocol": PROTOCOL, "batches": [[7, batch]], "abandon": []}).encode()


def _read(report: bytes) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(report)
    return data


def _next(engine: Engine) -> list[Outcome]:
    """What comes back next."""
    deadline = time.monotonic() + 60
    while not (came := engine.collect(0.2)):
        assert time.monotonic() < deadline
    return came


def _reason(engine: Engine) -> str:
    health = engine.health()
    return "" if health is None or health.state == "up" else str(health.reason)


def _parent(process: int) -> int:
    stat = Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])
