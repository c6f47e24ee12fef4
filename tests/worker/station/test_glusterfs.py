"""A parallel file system as what is shared: a real GlusterFS, mounted anew by each machine.

The server and each worker have a client of their own, in a mount namespace of their own where
they see it under the same path, as machines of a cluster do.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.gluster import Gluster, gluster
from tests.worker.station.stage import Stage, Worker, staged, until

pytestmark = pytest.mark.long

SHELL = "cat {input} {input} > {output}/twice; wc -c < {input} > {output}/size"
LARGE = 1 << 20


@pytest.fixture(scope="module")
def volume() -> Iterator[Gluster]:
    """Share one volume among the tests of this module."""
    with gluster() as volume:
        yield volume


@pytest.fixture(scope="module")
def _cluster(
    tmp_path_factory: pytest.TempPathFactory, rabbitmq_server: Broker, volume: Gluster
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("cluster")
    share, outputs = folder / "share", folder / "server" / "outputs"
    volume.mount(share)
    (share / "results").mkdir()
    (share / "other" / "results").mkdir(parents=True)
    outputs.mkdir(parents=True)
    # The results of runs lie in the volume, too.
    subprocess.run(["mount", "--bind", str(share / "results"), str(outputs)], check=True)
    try:
        with staged(folder, rabbitmq_server) as stage:
            yield stage
    finally:
        subprocess.run(["umount", "--lazy", str(outputs)], check=True)


@pytest.fixture
def cluster(_cluster: Stage) -> Iterator[Stage]:
    """Lend the module's server; the workers that a test starts go with it."""
    try:
        yield _cluster
    finally:
        _cluster.close()


def test_each_machine_works_in_its_own_mount(cluster: Stage, volume: Gluster) -> None:
    """Under the same path or another one: whole results, the same bytes as on one machine."""
    same = _mounted(cluster, volume, "same")
    mapped = _mapped(cluster, volume, "mapped")
    contents = {f"{number}.bin": os.urandom(LARGE // 4 * number) for number in range(5)}
    folder = cluster.fill("own-in", contents)

    runs = {
        cluster.submit(folder, SHELL, retries=0, needs={"labels": [worker.home.name]}): worker
        for worker in (same, mapped)
    }

    alone = _alone(cluster, folder)
    for run, worker in runs.items():
        ended = cluster.finish(run)
        assert (5, 0) == (ended["counts"]["done"], ended["counts"]["failed"])
        assert alone == _files(cluster.outputs(run))
        assert [str(cluster.share)] == [
            one for one in _shared(cluster, worker) if "server" not in one
        ]
        # Nothing was carried: neither came inputs here, nor are outputs built here.
        assert [] == [*worker.home.glob("worker/inputs/*"), *worker.home.rglob("twice")]


def test_a_wrong_mount_is_told_at_once(cluster: Stage, volume: Gluster) -> None:
    """Another folder of the volume is mounted there: that is said, and nothing is done in it."""
    worker = _mounted(cluster, volume, "wrong", below="other")
    worker.wait_for(f"{cluster.share} is not the server's {cluster.share}")
    worker.wait_for("Bytes travel through the server instead")
    contents = {"a": b"1", "b": b"2"}

    run = cluster.submit(cluster.fill("wrong-in", contents), "cat {input} > {output}/copy")

    assert "done" == cluster.finish(run)["state"]
    expected = {f"{name}/copy": content for name, content in contents.items()}
    assert expected == _files(cluster.outputs(run))
    assert str(cluster.share) not in _shared(cluster, worker)
    assert ["results"] == os.listdir(cluster.share / "other")


def test_a_brick_that_dies_costs_nothing(cluster: Stage, volume: Gluster) -> None:
    """With kill -9 amid the work: what the other brick has is all there is, and each item is."""
    _mounted(cluster, volume, "one")
    _mapped(cluster, volume, "two")
    contents = {f"{number:02}": os.urandom(LARGE) for number in range(16)}
    slow = f"sleep 0.2; {SHELL}; sleep 0.2"
    run = cluster.submit(cluster.fill("brick-in", contents), slow, retries=0)
    until(lambda: cluster.run(run)["counts"]["done"] >= 2, "the first items")

    volume.kill_brick(1)

    ended = cluster.finish(run)
    assert (16, 0) == (ended["counts"]["done"], ended["counts"]["failed"])
    expected = {f"{name}/twice": 2 * content for name, content in contents.items()}
    assert expected | {f"{name}/size": f"{LARGE}\n".encode() for name in contents} == _files(
        cluster.outputs(run)
    )
    assert ["N", "Y"] == _bricks_up(volume)


def _mounted(stage: Stage, volume: Gluster, name: str, below: str = ".") -> Worker:
    """A worker that has the volume, or a folder of it, where the server has it, mounted anew."""
    own = volume.mount(stage.folder / f"mount-{name}")
    outputs = stage.server.home / "outputs"
    binds = [(own / below / "results", outputs), (own / below, stage.share)]
    commands = [f"mount --bind {shlex.quote(str(a))} {shlex.quote(str(b))}" for a, b in binds]
    prefix = ("unshare", "--mount", "sh", "-e", "-c", "; ".join([*commands, 'exec "$@"']), "sh")
    return _joined(stage, name, prefix=prefix)


def _mapped(stage: Stage, volume: Gluster, name: str) -> Worker:
    """A worker that has the volume elsewhere, and finds nothing where the server has it."""
    own = volume.mount(stage.folder / f"mount-{name}")
    outputs = stage.server.home / "outputs"
    mounts = ("--mount", f"{stage.share}={own}", "--mount", f"{outputs}={own}/results")
    return _joined(stage, name, *mounts, prefix=stage.without(outputs, stage.share))


def _joined(stage: Stage, name: str, *flags: str, prefix: tuple[str, ...]) -> Worker:
    worker = stage.worker(name, "--labels", name, *flags, slots=2, prefix=prefix)
    worker.wait_for("joined")
    return worker


def _shared(stage: Stage, worker: Worker) -> list[str]:
    """The folders that a worker has told the server that they share."""
    answer = stage.admin.get(f"/workers/{worker.home.name}")
    assert answer.status_code == 200, answer.text
    return [str(one) for one in answer.json()["shares"]]


def _alone(stage: Stage, folder: Path) -> dict[str, bytes]:
    """What the same work on one machine leaves, on a disk of its own."""
    out = stage.folder / "alone"
    command = [sys.executable, "-m", "grange", "map", SHELL, str(folder), "--out", str(out)]
    environment = {**os.environ, "GRANGE_HOME": str(stage.folder / "alone-home")}
    subprocess.run([*command, "--quiet"], check=True, capture_output=True, env=environment)
    return _files(out)


def _files(folder: Path) -> dict[str, bytes]:
    """What the items have made."""
    found = [one for one in folder.rglob("*") if one.is_file() and one.parent != folder]
    inside = {str(one.relative_to(folder)): one.read_bytes() for one in found}
    return {path: content for path, content in inside.items() if not path.startswith(".")}


def _bricks_up(volume: Gluster) -> list[str]:
    """Whether GlusterFS has each brick for one that is up."""
    told = volume.gluster("volume", "status", "all", "detail")
    lines = [line.split() for line in told.splitlines() if line.startswith("Online")]
    return [words[-1] for words in lines]
