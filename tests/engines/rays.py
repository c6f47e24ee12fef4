"""A real Ray cluster of one machine: started on demand, gone afterwards with all its files."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from grange.engines.strays import kill_strays
from tests.services import free_port, kill_group, unavailable

START_SECONDS = 120.0
# Ray gives up after thirty seconds, which a busy machine may need.
START_TRIES = 3
MARK = "TEST_CLUSTER"
# It asks for no token: a user's own is not for tests. And it is started as the docs say: else its
# server for clients may die when somebody joins.
_ENVIRONMENT = {"RAY_AUTH_MODE": "disabled", "GRPC_ENABLE_FORK_SUPPORT": "0"}
STORE_BYTES = 80 << 20


@dataclass
class RayCluster:
    """A running cluster: where clients reach it, and its head's process."""

    port: int
    head_port: int  # where its other machines reach it
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def mark(self) -> str:
        """What all of its processes carry."""
        return self.folder.name

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"ray://127.0.0.1:{self.port}"

    def log(self) -> str:
        """What it has said."""
        return (self.folder / "log").read_text(errors="replace")


@contextlib.contextmanager
def ray_cluster(*, cores: int = 8, port: int = 0) -> Iterator[RayCluster]:
    """Run a cluster with so many pretended cores for as long as the block lasts.

    Its only machine has the label `barn`.
    """
    if find_spec("ray") is None:
        unavailable("Ray is not installed (the extra 'ray')")
    # Short, because it holds sockets.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    port, head_port = port or free_port(), free_port()
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"]
    command += ["--node-ip-address=127.0.0.1", f"--port={head_port}", f"--num-cpus={cores}"]
    command += [f"--ray-client-server-port={port}", f"--dashboard-port={free_port()}"]
    command += [f"--object-store-memory={STORE_BYTES}", f"--temp-dir={folder / 't'}"]
    command += ["--include-dashboard=false", "--disable-usage-stats", '--resources={"barn": 1}']
    # All that it starts carries the mark, whatever session that is in.
    environment = {**os.environ, **_ENVIRONMENT, MARK: folder.name, "TMPDIR": str(folder)}
    cluster = RayCluster(port, head_port, folder, _launch(command, folder, environment))
    try:
        for tries in range(START_TRIES):
            try:
                _await(cluster)
                break
            except RuntimeError:
                if tries + 1 == START_TRIES:
                    raise
                kill_group(cluster.process)
                end(folder.name)
                cluster.process = _launch(command, folder, environment)
        yield cluster
    finally:
        kill_group(cluster.process)
        end(folder.name)
        shutil.rmtree(folder, ignore_errors=True)


def _launch(
    command: list[str], folder: Path, environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True
        )


@contextlib.contextmanager
def ray_machine(cluster: RayCluster, *, cores: int, label: str) -> Iterator[str]:
    """Let a machine with this label join a cluster; gives the mark of its processes."""
    mark = f"{cluster.mark}-{label}"
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    command += [f"--address=127.0.0.1:{cluster.head_port}", "--node-ip-address=127.0.0.1"]
    command += [f"--num-cpus={cores}", f"--object-store-memory={STORE_BYTES}"]
    command += ["--disable-usage-stats", f"--resources={json.dumps({label: 1})}"]
    environment = {**os.environ, **_ENVIRONMENT, MARK: mark, "TMPDIR": str(cluster.folder)}
    with (cluster.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        yield mark
    finally:
        kill_group(process)
        end(mark)


def _await(cluster: RayCluster) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(cluster.port):
        if cluster.process.poll() is not None or time.monotonic() > deadline:
            message = f"Ray did not start: {cluster.log()[-2000:]}"
            raise RuntimeError(message)
        time.sleep(0.05)


def _answers(port: int) -> bool:
    """Whether its server for clients listens, which comes up some seconds after all else."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def end(mark: str) -> None:
    """End all that a cluster has started that was given this mark."""
    kill_strays(mark, variable=MARK)


def marked(mark: str) -> list[int]:
    """The processes that carry the mark."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for one in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if one.name.isdigit() and wanted in (one / "environ").read_bytes().split(b"\0"):
                found.append(int(one.name))
    return found


def signal_all(mark: str, number: signal.Signals, *, named: str = "") -> int:
    """Send a signal to those that carry the mark, and have this in their command; says how many."""
    sent = 0
    for process in marked(mark):
        with contextlib.suppress(OSError):
            if named in Path(f"/proc/{process}/cmdline").read_text(errors="replace"):
                os.kill(process, number)
                sent += 1
    return sent
