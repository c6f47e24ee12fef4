"""A place where the real program runs, and what must hold in it whatever happened before."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import fresh

GRANGE = [sys.executable, "-m", "grange"]
INJECTED = [sys.executable, str(Path(__file__).with_name("injected.py"))]
OWN_FILES = {"run.json", "items.jsonl", "report.html"}
# Workers notice within half a second that their engine is gone; a busy machine is slower.
PATIENCE_SECONDS = 30.0


@dataclass
class Scene:
    """Inputs, outputs and a home below one folder, and the program that works on them."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)
    out: Path = field(init=False)
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self.out = self.folder / "out"
        self.home = self.folder / "home"
        self.inputs = self.folder / "in"
        self.inputs.mkdir()
        (self.folder / "tmp").mkdir()
        fresh.put(self.home / "grange.db")

    def fill(self, files: Mapping[str, str]) -> None:
        """Write input files."""
        for name, text in files.items():
            (self.inputs / name).write_text(text)

    def start(self, *words: str, fault: str = "", **options: Any) -> subprocess.Popen[str]:
        """Start the program, with a fault built in if one is named."""
        program = [*INJECTED, fault, str(self.folder / "struck")] if fault else GRANGE
        process = subprocess.Popen(
            [*program, *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.started.append(process)
        return process

    def run(
        self, *words: str, fault: str = "", timeout: float = 60, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        process = self.start(*words, fault=fault, **options)
        return finish(process, timeout=timeout)

    def runs(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the commands about runs."""
        return self.run("runs", *words)

    def show(self, run: str = "last") -> dict[str, Any]:
        """Tell how the run stands."""
        shown = self.runs("show", run, "--json")
        assert 0 == shown.returncode, shown.stderr
        record: dict[str, Any] = json.loads(shown.stdout)
        return record

    @property
    def environment(self) -> dict[str, str]:
        """What the program is given."""
        return {
            **os.environ,
            "GRANGE_HOME": str(self.home),
            "GRANGE_RETRY_DELAY_SECONDS": "0",
            "GRANGE_WORKERS": "2",
            "TMPDIR": str(self.folder / "tmp"),
            **self.variables,
        }

    def processes(self) -> list[int]:
        """Find the processes that belong to this place."""
        mark = f"GRANGE_HOME={self.home}".encode()
        return [pid for pid in _pids() if mark in _environment(pid).split(b"\0")]

    def workers(self) -> list[int]:
        """Find the worker processes, the oldest first."""
        return sorted(pid for pid in self.processes() if b"--channel=" in _command_line(pid))

    def end_all(self) -> None:
        """Leave no process behind, however the test went."""
        for process in self.started:
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def items(self) -> dict[str, dict[str, Any]]:
        """Read the lines of items.jsonl by path; no two may have the same."""
        lines = (self.out / "items.jsonl").read_text().splitlines()
        found = {record["path"]: record for record in map(json.loads, lines)}
        assert len(lines) == len(found)
        return found

    def ledger(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the ledger's file itself."""
        with contextlib.closing(sqlite3.connect(self.home / "grange.db")) as database:
            return database.execute(query).fetchall()

    def check(self, control: Mapping[str, bytes]) -> None:
        """Hold the last run against every promise about a run that is done."""
        assert dict(control) == outputs(self.out)
        self.check_account()
        assert {"done"} == {record["state"] for record in self.items().values()}
        assert "done" == json.loads((self.out / "run.json").read_text())["state"]

    def check_account(self) -> None:
        """Whatever came of the items: files, ledger and leftovers agree with it."""
        self._check_files()
        self._check_ledger()
        self.check_nothing_is_left()

    def check_nothing_is_left(self) -> None:
        """No process, no staging, no temporary file."""
        wait_until(lambda: not self.processes())
        assert not (self.out / ".grange").exists()
        wait_until(lambda: not os.listdir(self.folder / "tmp"))

    def _check_files(self) -> None:
        items = self.items()
        told = {one["path"]: one for record in items.values() for one in record["outputs"]}
        present = {name for name in outputs(self.out) if not name.startswith("report/")}
        assert present == set(told)
        for name, one in told.items():
            content = (self.out / name).read_bytes()
            assert (one["size"], one["sha256"]) == (len(content), _sha256(content))
        for record in items.values():
            assert record["state"] in {"done", "failed", "cancelled"}
            assert (record["failure"] is None) == (record["state"] != "failed")
        run = json.loads((self.out / "run.json").read_text())
        states = Counter(record["state"] for record in items.values())
        counts = {name: run["counts"][name] for name in ("done", "failed", "cancelled")}
        assert {name: states[name] for name in counts} == counts
        assert len(items) == run["counts"]["total"]
        assert b"</html>" in (self.out / "report.html").read_bytes()

    def _check_ledger(self) -> None:
        for run in self.ledger(
            "select number, state, items_total, items_done, items_failed, items_cancelled,"
            " items_reused, out_key, driver, finished_at from runs"
        ):
            number, state, total, done, failed, cancelled, reused, *holds = run
            states = dict(
                self.ledger(f"select state, count(*) from items where run = {number} group by 1")
            )
            assert state in {"done", "failed", "cancelled"}
            assert {"done": done, "failed": failed, "cancelled": cancelled} == {
                "done": 0,
                "failed": 0,
                "cancelled": 0,
                **states,
            }
            assert total == sum(states.values())
            assert [None, None] == holds[:2]
            assert holds[2] is not None
            query = f"select count(*) from items where run = {number} and reused"
            assert [(reused,)] == self.ledger(query)
        assert [] == self.ledger("select * from tasks where state in ('waiting', 'running')")
        assert [] == self.ledger("select * from items where token is not null or ended_at is null")


def outputs(out: Path) -> dict[str, bytes]:
    """Read all files in an output folder that are results."""
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in sorted(out.rglob("*"))
        if file.is_file() and str(file.relative_to(out)) not in OWN_FILES
    }


def finish(
    process: subprocess.Popen[str], *, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Wait for the program's end and take what it said."""
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(happened: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something to become true; fail when it doesn't."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.02)


@contextlib.contextmanager
def scene_in(folder: Path, variables: dict[str, str] | None = None) -> Iterator[Scene]:
    """Make a scene, and end what is left of its processes."""
    scene = Scene(folder, variables=variables or {})
    try:
        yield scene
    finally:
        scene.end_all()
        shutil.rmtree(folder, ignore_errors=True)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
