"""`ray` as an engine: a cluster of this process's own, which disturbs nobody and leaves nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from grange.core.tasks import OutcomeState
from grange.engines import Engine, make_engine
from grange.engines.ray import dismiss
from tests.engines import rays
from tests.engines.contract.rigs import GatedTask, RayRig
from tests.engines.rig import wait_for

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(300),
    # Ray's own threads and sockets, when what they talk to is killed.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PATIENCE_SECONDS = 120.0
# A driver: of its tasks one kills its worker, and one says whose cluster it is on, once it has
# seen that Grange itself would work there.
DRIVER = '''
import sys
from pathlib import Path
from grange.engines import make_engine
from grange.engines.ray import joining
from tests.engines.contract.rigs import ContractRig

folder = Path(sys.argv[1])
folder.mkdir()
rig = ContractRig(folder)
engine = make_engine("ray", workers=1)
place = folder / "place"
note = f"""
import os
from grange.settings import load
load()
assert "RAY_AUTH_TOKEN" not in os.environ
open({str(place)!r}, "w").write(os.environ[{sys.argv[2]!r}])
"""
tasks = [rig.task("import os; os.kill(os.getpid(), 9)"), rig.task(note), *rig.many(20)]
print(sorted({str(one.state) for one in rig.do(engine, tasks).values()}))
print(place.read_text())
print(joining._open[0].cluster.address, flush=True)
sys.stdin.read()
'''


# Greets a cluster's server for clients as Ray's client does.
STRANGER = """
import grpc, sys
from ray.core.generated import ray_client_pb2, ray_client_pb2_grpc

stub = ray_client_pb2_grpc.RayletDriverStub(grpc.insecure_channel(sys.argv[1]))
kind = ray_client_pb2.ClusterInfoType.PING
try:
    print(stub.ClusterInfo(ray_client_pb2.ClusterInfoRequest(type=kind), timeout=20))
except grpc.RpcError as error:
    print(error.code().name)
"""


class Driver:
    """A process with a cluster of its own, which has a folder for all its files."""

    def __init__(self, name: str) -> None:
        # Short, because it holds sockets.
        self.temporary = Path("/tmp") / f"{name}{os.getpid()}"
        self.temporary.mkdir()
        self._seen: list[psutil.Process] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(self.temporary / "inputs"), rays.MARK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "TMPDIR": str(self.temporary),
                rays.MARK: self.mark,
            },
        )

    @property
    def mark(self) -> str:
        """What all of its cluster's processes carry."""
        return self.temporary.name

    def clusters(self) -> list[Path]:
        """The folders of clusters that have not been removed."""
        return [one for one in self.temporary.iterdir() if one.name.startswith("ray-")]

    def read(self) -> list[str]:
        """What it says when its work is done."""
        assert self.process.stdout is not None
        said = [self.process.stdout.readline().strip() for _ in range(3)]
        self._look()
        return said

    def kill(self) -> None:
        """Kill it, and nothing else."""
        self._look()
        self.process.kill()

    def ports(self) -> list[int]:
        """Where its cluster's processes listen."""
        return [
            port
            for process in rays.marked(self.mark)
            for port in {
                one.laddr.port
                for one in psutil.Process(process).net_connections("tcp")
                if one.status == psutil.CONN_LISTEN
            }
        ]

    def is_over(self) -> bool:
        """Whether nothing of its cluster is there, no process and no file."""
        return not (rays.marked(self.mark) or self.clusters() or any(map(_runs, self._seen)))

    def _look(self) -> None:
        """Remember whom it has: some of Ray's processes lose their mark."""
        self._seen = psutil.Process(self.process.pid).children(recursive=True)

    def end(self) -> None:
        """Take away what a test has left."""
        self.process.kill()
        self.process.communicate()
        rays.end(self.mark)
        shutil.rmtree(self.temporary, ignore_errors=True)


@pytest.fixture
def drivers() -> Iterator[list[Driver]]:
    """Start two processes at the same time."""
    drivers = [Driver("r"), Driver("s")]
    yield drivers
    for driver in drivers:
        driver.end()


def test_two_clusters_at_once_keep_apart_and_leave_no_word_and_no_file(
    drivers: list[Driver],
) -> None:
    """Each does its own work, Ray has said nothing, and when a process ends, so has all of it."""
    said = [driver.read() for driver in drivers]
    ports = [port for driver in drivers for port in driver.ports()]

    assert [["['done', 'lost']", driver.mark] for driver in drivers] == [one[:2] for one in said]
    # Those that Ray's clients and workers have in every cluster, unless they are told otherwise.
    assert [] == [port for port in ports if 10_000 <= port < 20_000 or 23_000 <= port < 24_000]
    assert len(set(ports)) == len(ports)
    for driver in drivers:
        out, err = driver.process.communicate("", timeout=PATIENCE_SECONDS)

        assert ("", "") == (out, err)
        wait_for(driver.is_over, seconds=20)


def test_what_a_killed_process_had_started_ends_and_its_files_go(drivers: list[Driver]) -> None:
    """One while its cluster is starting, the other when it has done its work."""
    early, late = drivers
    wait_for(lambda: early.clusters() and len(rays.marked(early.mark)) > 2, seconds=60)
    early.kill()
    late.read()
    late.kill()

    for driver in drivers:
        wait_for(driver.is_over, seconds=30)


def test_nobody_else_gets_into_a_cluster_of_our_own(drivers: list[Driver]) -> None:
    """Another account of this machine reaches its port, and has no token."""
    *_, address = drivers[0].read()
    stranger = subprocess.run(
        [sys.executable, "-c", STRANGER, address.removeprefix("ray://")],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert "UNAUTHENTICATED\n" == stranger.stdout


@pytest.mark.parametrize("name", ["gcs_server", "raylet/raylet", "ray.util.client.server"])
def test_a_cluster_of_our_own_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whichever of its processes is killed, this one goes on, and so does the work."""
    dismiss()
    rig = RayRig(tmp_path)
    mark = f"own-{tmp_path.name}"
    monkeypatch.setenv(rays.MARK, mark)
    engine = make_engine("ray", workers=1)
    try:
        gate = GatedTask(rig)
        rig.publish(engine, [gate.task])
        rig.turn_until(engine, gate.begun.exists)

        assert rays.signal_all(mark, signal.SIGKILL, named=name)
        came = _next(engine)
        rig.turn_until(engine, lambda: _is_up(engine))
        gate.open()
        gate.task.epoch += 1
        outcome = rig.do(engine, [gate.task])[gate.task.id]
    finally:
        engine.close()
        dismiss()

    assert [OutcomeState.RETURNED] == came
    assert (OutcomeState.DONE, 2) == (outcome.state, outcome.epoch)
    wait_for(lambda: not rays.marked(mark), seconds=10)


def _next(engine: Engine) -> list[OutcomeState]:
    """What comes back next."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (came := engine.collect(0.2)):
        assert time.monotonic() < deadline
    return [one.state for one in came]


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _is_up(engine: Engine) -> bool:
    health = engine.health()
    return health is not None and health.state == "up"
