"""One worker against four on wildlife: machines of a pool, each with its own share of a processor.

A server with RabbitMQ, and workers that have joined it. Each worker is a process group with
a home of its own, in a control group that gives it so much of a core and no more, as a small
machine has it. The server, its driver and the broker have what is left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.broker import broker
from benchmarks.clips import clips
from benchmarks.measure import ROOT, Result, Row, Target, in_turn
from benchmarks.site import API, Server, Site, environment_of, make_site, serving
from grange.bootstrap.scaling import accounted
from grange.db import open_database
from grange.runs.reads import Reads

WORKERS = (1, 4)
# Of a core, for each worker: four of them leave some for the server on a machine of two.
CORES = 0.35
CLIPS, SECONDS = 24, 5.0
QUICK_CLIPS = 4
REPETITIONS = 2
LIMIT = 0.9
PERIOD_US = 100_000
PATIENCE_SECONDS = 1200.0
JOIN_SECONDS = 120.0
MOST_SPANS = 100_000
_GROUPS = Path("/sys/fs/cgroup")
PARTS = ("working", "starting", "waiting", "idle", "closing")


def measure(*, quick: bool = False) -> Result:
    """Let each number of workers do the same run in turn, each time with a new server."""
    folder = clips(QUICK_CLIPS if quick else CLIPS, SECONDS)
    counts = {f"{count} worker{'s' if count > 1 else ''}": count for count in WORKERS}
    contestants: dict[str, Callable[[], dict[str, float]]] = {
        name: lambda count=count: _run(folder, count)  # type: ignore[misc]
        for name, count in counts.items()
    }
    found = in_turn(contestants, repetitions=1 if quick else REPETITIONS)
    result = Result(
        "scaling",
        "One worker against four",
        f"{len(list(folder.glob('*.mp4')))} rendered clips of {SECONDS:g} s through the wildlife "
        f"pipeline, by workers that have {CORES:g} of a core each, over RabbitMQ, from the "
        "submission to the last file of the results. Workers are up and have joined when the "
        "clock starts; they load their models while it runs.",
        [
            Row(f"{name}, {what}", "s", [one[what] for one in times], digits=1)
            for name, times in found.items()
            for what in ("seconds", *PARTS)
        ],
    )
    one, several = (result.median(f"{name}, seconds") for name in counts)
    efficiency = one / several / WORKERS[-1] * WORKERS[0]
    result.targets.append(Target("of what four times one worker would do", efficiency, LIMIT))
    return result


def _run(folder: Path, count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place, ExitStack() as opened:
        url = opened.enter_context(broker())
        site = make_site(Path(place, "home"), runs_number=0)
        flags = ("--engine", url, "--shares", str(folder))
        environment = {"GRANGE_WORKERS_ENGINE": url}
        server = opened.enter_context(serving(site, *flags, environment=environment))
        token = site.tokens["ada"]
        body = {"uses": count}
        line = server.ask(f"{API}/workers/tokens", token, method="POST", body=body)["line"]
        for number in range(count):
            opened.enter_context(_worker(Path(place, f"w{number}"), line, f"w{number}"))
        _await(lambda: len(_up(server, token)) == count, JOIN_SECONDS)
        return _timed(site, server, token, folder, count)


def _timed(site: Site, server: Server, token: str, folder: Path, count: int) -> dict[str, float]:
    asked = {"pipeline": "wildlife", "inputs": [{"share": str(folder)}]}
    began_at = time.time()
    run = server.ask(f"{API}/runs", token, method="POST", body=asked)["id"]
    _await(lambda: _state(server, token, run) in {"done", "failed"}, PATIENCE_SECONDS)
    ended_at = time.time()
    assert _state(server, token, run) == "done"
    database = open_database(site.database)
    reads = Reads(database)
    spans = reads.newest_spans(reads.find(run), limit=MOST_SPANS)
    database.close()
    parts = accounted(spans, workers=count, began_at=began_at, ended_at=ended_at)
    return {"seconds": ended_at - began_at, **parts}


def _up(server: Server, token: str) -> list[Any]:
    found = server.ask(f"{API}/workers", token)["items"]
    return [one for one in found if one["presence"] == "up"]


def _state(server: Server, token: str, run: str) -> str:
    return str(server.ask(f"{API}/runs/{run}", token)["state"])


def _await(happened: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.1)


@contextmanager
def _worker(home: Path, line: str, name: str) -> Iterator[None]:
    """A worker of one slot, with its own home and its own share of a core."""
    home.mkdir()
    command = [sys.executable, "-m", "grange", "worker", line, "--slots", "1", "--name", name]
    with _share(f"grange-bench-{os.getpid()}-{name}", CORES) as group:
        # The shell joins the group and becomes the worker, so that all that it starts is in it.
        joining = f'echo $$ > {group}/{"cgroup.procs"}; exec "$@"'
        with (home / "worker.log").open("w") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", joining, "sh", *command],
                cwd=ROOT,
                env=environment_of(home, {"OMP_NUM_THREADS": "1"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
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
        _await(lambda: _removed(group), 10.0)


def _removed(group: Path) -> bool:
    with suppress(OSError):
        for process in _members(group):
            os.kill(process, signal.SIGKILL)
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def _members(group: Path) -> Sequence[int]:
    return [int(one) for one in (group / "cgroup.procs").read_text().split()]


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]), int(sys.argv[2]))))
