"""Runs on a server under test: inputs in a shared folder, commands that work on them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.server import scene
from tests.server.scene import Serving

ENDS = {"done", "failed", "cancelled"}
PATIENCE_SECONDS = 60.0
COPY = "cp {input} {output}/copy"


@dataclass
class Works:
    """A shared folder of inputs, and how runs over it are asked for."""

    share: Path

    def fill(self, name: str, files: dict[str, str]) -> Path:
        """Put files into a folder of their own below the share."""
        folder = self.share / name
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        return folder

    def request(self, folder: Path, shell: str = COPY, **changes: Any) -> dict[str, Any]:
        """Give the request for a run of a shell line over a folder."""
        return {
            "pipeline": "command",
            "inputs": [{"share": str(folder)}],
            "params": {"shell": shell},
            "retries": 0,
            **changes,
        }


@dataclass
class People:
    """People on the servers of one test, whose connections are closed at its end."""

    met: list[httpx.Client] = field(default_factory=list)

    def set_up(self, server: Serving) -> httpx.Client:
        """Make the first administrator."""
        return self._meet(scene.set_up(server))

    def log_in(self, server: Serving, name: str = "ada") -> httpx.Client:
        """Log in somebody who is known."""
        return self._meet(scene.log_in(server.url, name))

    def invite(self, admin: httpx.Client, server: Serving, name: str, role: str) -> httpx.Client:
        """Let an administrator invite somebody."""
        return self._meet(scene.invite(admin, server.url, name, role=role))

    def close(self) -> None:
        """Close all connections."""
        for one in self.met:
            one.close()

    def _meet(self, person: httpx.Client) -> httpx.Client:
        self.met.append(person)
        return person


@contextlib.contextmanager
def serving(folder: Path, *flags: str, **environment: str) -> Iterator[tuple[Serving, Works]]:
    """Serve with a shared folder, and let members run commands."""
    share = folder / "share"
    share.mkdir(parents=True, exist_ok=True)
    given = ("--shares", str(share), "--commands", "member", *flags)
    with scene.serving(folder / "home", *given, **environment) as server:
        yield server, Works(share)


def relaunch(folder: Path, *flags: str, **environment: str) -> AbstractContextManager[Serving]:
    """Serve over the same home once more."""
    given = ("--shares", str(folder / "share"), "--commands", "member", *flags)
    return scene.serving(folder / "home", *given, **environment)


def submit(person: httpx.Client, request: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Submit a run."""
    answer = person.post("/runs", json=request, headers=headers)
    assert 201 == answer.status_code, answer.text
    run: dict[str, Any] = answer.json()
    return run


def show(person: httpx.Client, run: str) -> dict[str, Any]:
    """Tell how a run stands."""
    answer = person.get(f"/runs/{run}")
    assert 200 == answer.status_code, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def ended(person: httpx.Client, run: str) -> dict[str, Any]:
    """Wait for a run's end."""
    return until(lambda: (one := show(person, run))["state"] in ENDS and one)


def until(happened: Callable[[], Any], *, seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for something, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.03)
    return found


def ledger(home: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the ledger's file itself."""
    with contextlib.closing(sqlite3.connect(home / "grange.db")) as database:
        return database.execute(query).fetchall()


def drivers(home: Path) -> list[int]:
    """Find the processes that drive runs of this home."""
    return [pid for pid in _pids_of(home) if "\0drive\0" in _command_line(pid)]


def processes(home: Path) -> list[int]:
    """Find all processes that belong to this home."""
    return list(_pids_of(home))


def kill(pids: list[int]) -> None:
    """End processes at once."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass
class Event:
    """One event of a stream."""

    name: str
    id: str
    data: Any


def events(answer: httpx.Response) -> Iterator[Event]:
    """Take a stream apart."""
    name, number, data = "", "", ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            number = value
        elif field == "data":
            data = value
        elif not line and data:
            yield Event(name, number, json.loads(data))
            name, data = "", ""


def _pids_of(home: Path) -> Iterator[int]:
    mark = f"GRANGE_HOME={home}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    yield int(name)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
