"""A server with RabbitMQ, and machines that work for it: each a `grange worker` with its home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.containers import container, docker, docker_there
from benchmarks.measure import ROOT
from benchmarks.site import API, Server, Site, environment_of, serving

JOIN_SECONDS = 120.0
PATIENCE_SECONDS = 1200.0
PERIOD_US = 100_000
_GROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Machine:
    """How a machine is: its slots, and its share of the cores, or 0 for as much as there is.

    With a share it is a container, where there is Docker, and else a control group. `program`
    is the module that makes it one, and the words that go before all others.
    """

    slots: int = 1
    cores: float = 0.0
    program: tuple[str, ...] = ("grange", "worker")


@contextmanager
def farm(site: Site, url: str, share: Path, machines: Sequence[Machine]) -> Iterator[Server]:
    """Serve this site over the broker at `url`, with machines that have joined and are up.

    They see `share` as the server does, and end with the block.
    """
    flags = ("--engine", url, "--shares", str(share))
    environment = {"GRANGE_WORKERS_ENGINE": url}
    # What all machines of a cluster see: the inputs, and the folder of the results.
    shared = (share, site.home.parent)
    with serving(site, *flags, environment=environment) as server, ExitStack() as opened:
        token = site.tokens["ada"]
        asked = {"uses": len(machines)}
        line = server.ask(f"{API}/workers/tokens", token, method="POST", body=asked)["line"]
        apart = docker_there() and any(machine.cores for machine in machines)
        where = opened.enter_context(docker()) if apart else ""
        for number, machine in enumerate(machines, 1):
            home = site.home.with_name(f"w{number}")
            opened.enter_context(_worker(home, line, machine, where, shared))
        until(lambda: len(up(server, token)) == len(machines), JOIN_SECONDS)
        yield server


def submit(server: Server, token: str, pipeline: str, folder: Path) -> str:
    """Begin a run over a folder of a share; returns its id."""
    asked = {"pipeline": pipeline, "inputs": [{"share": str(folder)}]}
    return str(server.ask(f"{API}/runs", token, method="POST", body=asked)["id"])


def done(server: Server, token: str, run: str) -> None:
    """Wait until the run is done."""
    until(lambda: _state(server, token, run) in {"done", "failed"}, PATIENCE_SECONDS)
    assert _state(server, token, run) == "done"


def up(server: Server, token: str) -> list[Any]:
    """The workers that are there."""
    found = server.ask(f"{API}/workers", token)["items"]
    return [one for one in found if one["presence"] == "up"]


def until(happened: Callable[[], bool], seconds: float) -> None:
    """Wait for it, so long at the most."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.1)


def _state(server: Server, token: str, run: str) -> str:
    return str(server.ask(f"{API}/runs/{run}", token)["state"])


@contextmanager
def _worker(
    home: Path, line: str, machine: Machine, where: str, shared: Sequence[Path]
) -> Iterator[None]:
    """A worker with its own home, and with its own share of the cores where it has one."""
    home.mkdir()
    words = [line, "--slots", str(machine.slots), "--name", home.name]
    command = [sys.executable, "-m", *machine.program, *words]
    log = home / "worker.log"
    if not machine.cores:
        with _process(command, home, log):
            yield
    elif where:
        own = {"GRANGE_HOME": str(home), "HOME": str(home), "OMP_NUM_THREADS": "1"}
        with container(
            where, command, cores=machine.cores, shared=shared, environment=own, log=log
        ):
            yield
    else:
        with _share(f"grange-bench-{os.getpid()}-{home.name}", machine.cores) as group:
            # The shell joins the group and becomes the worker, with all that it starts.
            joining = f'echo $$ > {group}/cgroup.procs; exec "$@"'
            with _process(["/bin/sh", "-c", joining, "sh", *command], home, log):
                yield


@contextmanager
def _process(command: Sequence[str], home: Path, log: Path) -> Iterator[None]:
    with log.open("w") as said:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(home, {"OMP_NUM_THREADS": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _share(name: str, cores: float) -> Iterator[Path]:
    """A control group that has so much of the processors; needs root."""
    unified = (_GROUPS / "cgroup.controllers").exists()
    group = (_GROUPS if unified else _GROUPS / "cpu") / name
    group.mkdir()
    quota = int(PERIOD_US * cores)
    if unified:
        (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
    else:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(quota))
    try:
        yield group
    finally:
        until(lambda: _removed(group), 10.0)


def _removed(group: Path) -> bool:
    with suppress(OSError):
        for process in _members(group):
            os.kill(process, signal.SIGKILL)
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def _members(group: Path) -> Sequence[int]:
    return [int(one) for one in (group / "cgroup.procs").read_text().split()]
